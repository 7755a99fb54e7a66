-- For luacheck, which scripts/lint-lua calls.
max_line_length = 125

-- What Redis gives a script: its sandbox has neither os, io nor require.
stds.redis = {
  read_globals = {
    'KEYS', 'ARGV', 'redis', 'cjson', 'cmsgpack', 'struct', 'bit',
    'string', 'table', 'math', 'assert', 'error', 'ipairs', 'next', 'pairs', 'pcall', 'select', 'tonumber', 'tostring', 'type',
    'unpack',
  },
}
std = 'redis'

-- A script of wrk defines functions that wrk calls, and global variables, because a thread can share nothing else.
stds.wrk = { globals = { 'wrk' } }
local wrk = { std = 'luajit+wrk', allow_defined = true, ignore = { '131' } }
files['loadtest/wrk/'] = wrk
files['loadtest/bench/wrk/'] = wrk
