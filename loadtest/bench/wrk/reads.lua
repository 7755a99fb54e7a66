dofile(debug.getinfo(1, "S").source:sub(2):match("^(.*/)") .. "done.lua")
wrk.path = "/api/products/1"
