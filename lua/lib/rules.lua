-- rules: terms that few products and sales have. They are one text, so that `hold` pays nothing where there is none:
-- entries 'name=value' in any order, separated by blanks, '' for most products and sales. A product can have
-- max_per_customer, group, visibility and archived, a sale cooldown_holds, max_per_customer, max_per_group and visibility.
-- lib/sales changes them, and src/store/redis/record/rules.rs has them in Rust.

-- By name.
local function read_rules(text)
  local rules = {}
  for name, value in text:gmatch('(%S+)=(%S+)') do rules[name] = value end
  return rules
end
