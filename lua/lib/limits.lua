-- limits: the most units that a customer may have of a product (its rule max_per_customer), of a group of products
-- (max_per_group of the sale) and of all products of a sale (its max_per_customer), held, pending and bought together. Uses
-- units and customers.
-- `hold` asks it for few holds, and Redis creates functions at every call. So it is one function, with its parts inside.

-- Why limits allow the run no hold. nil: they allow `run.allowed` holds, and where that is nil there is no limit. A product
-- counts in the group that it has now. `sale_rules` are those of the sale, if it has any, and `stock_of` gives a product.
local function limit_refusal(run, sale_rules, stock_of, now)
  local most_of_sale = sale_rules and tonumber(sale_rules.max_per_customer)
  local most_of_group = sale_rules and tonumber(sale_rules.max_per_group)

  -- Each limit that the run meets, in order of precedence: what it counts, its most units, and those of one hold.
  local function limits_met()
    local limits, groups, all = {}, {}, { limit = 'sale', of = '', most = most_of_sale, units = 0 }
    for i = 1, #run, 2 do
      local product, units = run[i], run[i + 1]
      local most = stock_of(product).most_of_customer
      if most then limits[#limits + 1] = { limit = 'product', of = product, most = most, units = units } end
      all.units = all.units + units
    end
    for i = 1, #run, 2 do
      local group = most_of_group and stock_of(run[i]).group
      if group and not groups[group] then
        groups[group] = { limit = 'group', of = group, most = most_of_group, units = 0 }
        limits[#limits + 1] = groups[group]
      end
      if group then groups[group].units = groups[group].units + run[i + 1] end
    end
    if most_of_sale then limits[#limits + 1] = all end
    return limits
  end

  -- Units of the customer by what limits count: a product, a group, and '' for the whole sale.
  local function counted_units(customer)
    local counted = { product = {}, group = {}, sale = {} }
    local function count(product, units)
      local stock = most_of_group and stock_of(product)
      local group = stock and stock.group or nil
      for limit, of in pairs({ product = product, group = group, sale = '' }) do
        counted[limit][of] = (counted[limit][of] or 0) + units
      end
    end
    for product, units in pairs(customer.bought) do count(product, units) end
    for name, units in pairs(customer.due_back) do
      local _, product = read_bucket_name(name)
      count(product, units)
    end
    return counted
  end

  local limits = limits_met()
  if #limits == 0 then return nil end
  if not run.customer then return { 'customer_id_required', limits[1].limit, limits[1].of } end
  local counted = counted_units(customer_at(run.customer, now))
  run.allowed = run.holds
  for _, met in ipairs(limits) do
    local left = met.most - (counted[met.limit][met.of] or 0)
    if met.units > left then return { 'customer_limit_reached', met.limit, met.of, met.most, math.max(left, 0) } end
    run.allowed = math.min(run.allowed, math.floor(left / met.units))
  end
end
