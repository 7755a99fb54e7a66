// What the dashboard makes of counters: rates over several processes, quantiles, and plots of the last 15 minutes.

const windowMs = 15 * 60 * 1000;
/** Counters of a process that was not heard for this long begin anew. */
const forgetMs = 10 * 60 * 1000;

/**
 * Adds up the rates of all processes that answer behind one address. Each counts from its own start, so only what one process
 * counted between two of its own answers is a rate: another process, or a new one after a restart, makes no spike.
 */
export class Rates {
  #last = new Map();
  #increments = [];
  #keeps;

  /** With `keeps`, what was counted is kept for 15 minutes. */
  constructor({ keeps = false } = {}) { this.#keeps = keeps; }

  /** Takes what `process` has counted until `at`. A `rate` counts for `staleMs`, until the same process should be heard again. */
  add(process, at, counts, staleMs) {
    const before = this.#last.get(process);
    const seconds = before ? (at - before.at) / 1000 : 0;
    if (before && seconds >= 0 && seconds < 0.2) return;
    const increments = seconds > 0 ? difference(before.counts, counts) : null;
    const rates = increments && new Map([...increments].map(([name, value]) => [name, value / seconds]));
    this.#last.set(process, { at, counts, rates, until: at + staleMs });
    if (increments && this.#keeps) this.#increments.push({ at, increments });
    this.#forget(at);
  }

  /** What happens a second in all processes at `at`, or `null` as long as nobody knows. */
  at(at) {
    const fresh = [...this.#last.values()].filter((process) => process.rates && at <= process.until);
    return fresh.length ? sum(fresh.map((process) => process.rates)) : null;
  }

  /** How many processes answered lately. */
  processes(at) {
    return [...this.#last.values()].filter((process) => at <= process.until).length;
  }

  /** What was counted in the last 15 minutes, as far as this page has looked. */
  recent() {
    return sum(this.#increments.map((entry) => entry.increments));
  }

  /** Leaves what was a rate before the service was away. The next answer of a process begins anew. */
  forgetRates() {
    for (const process of this.#last.values()) process.rates = null;
  }

  #forget(at) {
    for (const [name, process] of this.#last) if (at - process.at > forgetMs) this.#last.delete(name);
    while (this.#increments.length && at - this.#increments[0].at > windowMs) this.#increments.shift();
  }
}

/** What was counted in between, or `null` where a counter went back: then it is another one. */
function difference(before, now) {
  const increments = new Map();
  for (const [name, value] of now) {
    const increment = value - (before.get(name) ?? 0);
    if (increment < 0) return null;
    increments.set(name, increment);
  }
  return increments;
}

function sum(maps) {
  const all = new Map();
  for (const map of maps) for (const [name, value] of map) all.set(name, (all.get(name) ?? 0) + value);
  return all;
}

/** Flattens figures: `holds/refused/sold_out` and its count. */
export function countsOf(figures) {
  const counts = new Map();
  for (const kind of ["holds", "orders", "payment_events"]) {
    for (const { outcome, reason, count } of figures[kind] ?? []) {
      counts.set([kind, outcome, reason].filter(Boolean).join("/"), count);
    }
  }
  return counts;
}

/** Adds up what is named `prefix` or is below it. `null` stays `null`: unknown is not nothing. */
export function total(rates, prefix) {
  if (!rates) return null;
  let all = 0;
  for (const [name, value] of rates) if (name === prefix || name.startsWith(`${prefix}/`)) all += value;
  return all;
}

/** Reads the text of Prometheus: counters and gauges by series, and the units of all products, which may be many, as a sum. */
export function readMetrics(text) {
  const counts = new Map(), gauges = new Map(), units = {};
  for (const line of text.split("\n")) {
    const blank = line.lastIndexOf(" ");
    if (blank < 1 || line[0] === "#") continue;
    const series = line.slice(0, blank), value = Number(line.slice(blank + 1));
    if (series.startsWith("flashsale_units{")) {
      const state = series.match(/state="(\w+)"/)?.[1];
      units[state] = (units[state] ?? 0) + value;
    } else if (/^flashsale_\w+_(total|bucket|sum|count)(\{|$)/.test(series)) counts.set(series, value);
    else gauges.set(series, value);
  }
  return { process: String(gauges.get("process_start_time_seconds")), counts, gauges, units };
}

/** The label of a series. */
export function label(series, name) {
  return series.match(new RegExp(`[{,]${name}="((?:[^"\\\\]|\\\\.)*)"`))?.[1] ?? "";
}

/** Sums the series of a metric: over all of its labels. */
export function gauge(gauges, name) {
  let all = null;
  for (const [series, value] of gauges) if (series === name || series.startsWith(`${name}{`)) all = (all ?? 0) + value;
  return all;
}

/** The histograms of `name` by what `keyOf` makes of a series: how many a second, the mean, and the buckets. */
export function histograms(rates, name, keyOf) {
  const all = new Map();
  for (const [series, value] of rates ?? []) {
    const kind = series.startsWith(name) ? series.slice(name.length).match(/^_(bucket|sum|count)\{/)?.[1] : null;
    if (!kind) continue;
    const key = keyOf(series);
    if (!all.has(key)) all.set(key, { count: 0, sum: 0, buckets: new Map() });
    const one = all.get(key);
    if (kind !== "bucket") one[kind] += value;
    else {
      const bound = label(series, "le") === "+Inf" ? Infinity : Number(label(series, "le"));
      one.buckets.set(bound, (one.buckets.get(bound) ?? 0) + value);
    }
  }
  return all;
}

/** The value that the part `q` of a histogram stays below, taken as evenly spread within a bucket; `null` where nothing came. */
export function quantile(histogram, q) {
  if (!histogram || histogram.count <= 0) return null;
  const wanted = histogram.count * q;
  let lower = 0, below = 0;
  for (const [bound, count] of [...histogram.buckets].sort(([a], [b]) => a - b)) {
    if (count >= wanted) {
      if (bound === Infinity) return lower;
      return count === below ? bound : lower + (bound - lower) * (wanted - below) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return lower;
}

const probe = document.createElement("span");
const colours = new Map();
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => colours.clear());

/** A colour of base.css as a canvas needs it: `light-dark()` resolved. */
export function colour(name) {
  if (!colours.has(name)) {
    probe.hidden = true;
    document.body.append(probe);
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

/** A plot of the last 15 minutes with a legend in HTML, which says the values in text too. */
export class Plot {
  #times = [];
  #columns;
  #series;
  #chart = null;
  #box;
  #values = [];
  #write;

  /** `series` are `{ name, colour, dash }`; `write` makes text of a value. */
  constructor(box, series, write) {
    this.#box = box;
    this.#series = series;
    this.#write = write;
    this.#columns = series.map(() => []);
    this.#makeLegend();
    new ResizeObserver(() => this.#fit()).observe(box);
    dark.addEventListener("change", () => this.#chart?.redraw(false, true));
  }

  /** Adds values of an instant. `null` is a gap. */
  push(at, values) {
    const seconds = at / 1000;
    if (seconds <= this.#times.at(-1)) return;
    this.#times.push(seconds);
    this.#columns.forEach((column, index) => column.push(values[index] ?? null));
    while (this.#times[0] < seconds - windowMs / 1000) {
      this.#times.shift();
      for (const column of this.#columns) column.shift();
    }
    this.draw();
  }

  /** Paints only where somebody looks. */
  draw() {
    if (document.hidden || this.#box.clientWidth === 0) return;
    this.#chart ??= this.#makeChart();
    this.#chart.setData(this.#data());
    this.#say(this.#times.length - 1);
  }

  clear() {
    this.#times.length = 0;
    for (const column of this.#columns) column.length = 0;
    this.draw();
  }

  /** The first series is painted last, over the others. */
  #data() { return [this.#times, ...this.#columns.toReversed()]; }

  #fit() {
    if (!this.#chart) return this.draw();
    const { clientWidth: width, clientHeight: height } = this.#box;
    if (width && (width !== this.#chart.width || height !== this.#chart.height)) this.#chart.setSize({ width, height });
  }

  /** Shows a growing window until 15 minutes are full, so that a new page is no empty field with a line at its edge. */
  #span() {
    const end = this.#times.at(-1) ?? Date.now() / 1000;
    const known = end - (this.#times[0] ?? end);
    return [end - Math.min(Math.max(known, 120), windowMs / 1000), end];
  }

  #makeChart() {
    const font = "12px system-ui, sans-serif";
    const grid = { stroke: () => colour("line"), width: 1 };
    const axis = { stroke: () => colour("quiet"), grid, ticks: { show: false }, font };
    const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
    const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    const minute = (seconds) => time.format(seconds * 1000).replace(/:00$/, "");
    return new uPlot({
      width: this.#box.clientWidth,
      height: this.#box.clientHeight,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { range: () => this.#span() }, y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1) || 1] } },
      axes: [
        { ...axis, space: 90, size: 26, values: (_, splits) => splits.map(minute) },
        { ...axis, size: 46, space: 36, values: (_, splits) => splits.map((value) => short.format(value)) },
      ],
      series: [{}, ...this.#series.toReversed().map((one) => ({
        stroke: () => colour(one.colour), width: 2, dash: one.dash, points: { show: false },
        fill: one.fill ? () => colour(one.colour).replace("rgb(", "rgba(").replace(")", ", .16)") : undefined,
      }))],
      hooks: { setCursor: [(chart) => this.#say(chart.cursor.idx ?? this.#times.length - 1)] },
    }, this.#data(), this.#box);
  }

  #makeLegend() {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const one of this.#series) {
      const item = document.createElement("li"), swatch = document.createElement("i"), value = document.createElement("b");
      swatch.style.borderColor = `var(--${one.colour})`;
      if (one.dash) swatch.style.borderStyle = "dashed";
      item.append(swatch, `${one.name} `, value);
      this.#values.push(value);
      list.append(item);
    }
    this.#box.after(list);
  }

  #say(index) {
    this.#values.forEach((element, series) => {
      const value = this.#columns[series][index];
      const text = value === null || value === undefined ? "–" : this.#write(value);
      if (element.textContent !== text) element.textContent = text;
    });
  }
}
