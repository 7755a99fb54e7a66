dofile(debug.getinfo(1, "S").source:sub(2):match("^(.*/)") .. "done.lua")
wrk.method = "POST"
wrk.path = "/api/holds"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"product_id":1,"quantity":1}'
