-- keys: the first keys of every script that moves units. One that has no customers has another key in the place of theirs.
local sale_key, stock_key, lapses_key, deadlines_key, customers_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
