-- keys: the first four keys of every script that moves units.
local sale_key, stock_key, lapses_key, deadlines_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
