// The map: points that are panned, zoomed, colored, searched and looked at.
"use strict";

const { rest: REST, categories: COLORS } = data.palette;

/** What Python packed: gzip in base64. */
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const words = async (text) => JSON.parse(new TextDecoder().decode(await unpacked(text)));

const clusterName = (side, code) =>
  side.clusters.get(code) ? `${code}: ${side.clusters.get(code)}` : `${code}`;

const numbers = async (packed, Type) => packed && new Type(await unpacked(packed));

/** Where points lie, and what is near them there. */
const lying = async ({ x, y, neighbors }) => ({
  x: await numbers(x, Uint16Array),
  y: await numbers(y, Uint16Array),
  neighbors: await numbers(neighbors, Int32Array),
});

async function opened(drawn) {
  return {
    ...drawn,
    ...(await lying(drawn)),
    earlier: drawn.earlier && (await lying(drawn.earlier)),
    ids: await words(drawn.ids),
    labels: drawn.labels && (await words(drawn.labels)),
    interactions: await numbers(drawn.interactions, Uint32Array),
    cluster: await numbers(drawn.cluster, Int32Array),
    cohort: await numbers(drawn.cohort, Uint8Array),
    shift: await numbers(drawn.shift, Float32Array),
    clusters: new Map(data.clusters[drawn.entity].map((row) => [row.cluster_id, row.label])),
  };
}

/** Ways to color points: each gives a palette, a number into it for each point, and a legend. */
function colorings(side) {
  const ways = new Map();
  if (side.shift) ways.set("how far it moved", shades(side.shift, d3.max(side.shift), "moved "));
  if (side.clusters.size)
    ways.set(
      "cluster",
      categories(side.cluster, (code) => clusterName(side, code)),
    );
  if (side.cohorts.length)
    ways.set(
      `cohort (${side.cohort_set})`,
      categories(side.cohort, (code) => side.cohorts[code]),
    );
  ways.set("popularity", popularity(side.interactions));
  return ways;
}

/** The largest categories have colors, the others share one. */
function categories(codes, name) {
  const counts = d3.rollup(
    codes,
    (rows) => rows.length,
    (code) => code,
  );
  const known = d3.sort(
    [...counts.keys()].filter((code) => code >= 0 && name(code) !== undefined),
    (a, b) => d3.descending(counts.get(a), counts.get(b)),
  );
  const largest = known.slice(0, COLORS.length);
  const index = new Map(largest.map((code, n) => [code, n + 1]));
  const entries = largest.map((code, n) => ({
    name: `${short(name(code), 32)} (${written(counts.get(code))})`,
    color: COLORS[n],
  }));
  if (counts.size > largest.length) entries.push({ name: "others", color: REST });
  return {
    palette: [REST, ...COLORS],
    codes: Uint8Array.from(codes, (code) => index.get(code) ?? 0),
    legend: entries,
  };
}

// from 0.2: what is darker is not seen on a dark ground
const shade = (share) => d3.rgb(d3.interpolateCividis(0.2 + 0.8 * share)).formatHex();
const SHADES = d3.range(32).map((step) => shade(step / 31));

/** Values from 0 to the greatest, from dark to light. */
function shades(values, greatest, what) {
  const marks = [0, greatest / 2, greatest];
  return {
    palette: SHADES,
    codes: Uint8Array.from(values, (value) => Math.round((31 * value) / (greatest || 1))),
    legend: marks.map((value, n) => ({
      name: `${what}${written(value)}`,
      color: SHADES[Math.round((31 * n) / 2)],
    })),
  };
}

function popularity(counts) {
  const scale = d3.scaleSequentialLog([1, Math.max(2, d3.max(counts) ?? 2)], shade);
  const most = Math.log(scale.domain()[1]);
  const codes = Uint8Array.from(counts, (count) =>
    Math.round((31 * Math.log(Math.max(1, count))) / most),
  );
  const marks = [1, Math.round(Math.sqrt(scale.domain()[1])), scale.domain()[1]];
  return {
    palette: SHADES,
    codes,
    legend: marks.map((count) => ({
      name: `${written(count)}${interactions(count)}`,
      color: scale(count),
    })),
  };
}

/** A color as a pixel of a picture. */
function pixel(hex) {
  const { r, g, b } = d3.rgb(hex);
  return (255 << 24) | (b << 16) | (g << 8) | r;
}

const short = (text, length) => (text.length <= length ? text : `${text.slice(0, length)}…`);

async function showMap() {
  const parent = body("map");
  if (!data.maps.some((drawn) => drawn.points)) {
    missing(parent, "This run has no vectors that have a direction, so there is nothing to draw.");
    return;
  }
  const sides = data.maps.filter((drawn) => drawn.points);
  const choice = parent
    .append("div")
    .attr("class", "tools")
    .attr("role", "group")
    .attr("aria-label", "What the map shows");
  const plot = parent.append("div");
  let shown;
  const show = async (drawn) => {
    buttons.attr("aria-pressed", (other) => other === drawn);
    shown = drawn;
    const side = await opened(drawn);
    if (shown !== drawn) return; // another was asked for meanwhile
    plot.selectChildren().remove();
    new Plot(plot, side);
  };
  const buttons = choice
    .selectAll("button")
    .data(sides)
    .join("button")
    .attr("type", "button")
    .attr("aria-pressed", "false")
    .text((drawn) => `${drawn.entity}s`)
    .on("click", (event, drawn) => show(drawn));
  await show(sides[0]);
}

/** One map: a canvas that is panned and zoomed, and what is known of the point one looks at. */
class Plot {
  constructor(parent, side) {
    Object.assign(this, { side, chosen: -1, transform: d3.zoomIdentity, ways: colorings(side) });
    this.describe(parent);
    this.tools(parent);
    this.key = parent.append("div");
    const plot = parent.append("div").attr("class", "plot");
    this.canvas = plot
      .append("canvas")
      .attr("tabindex", 0)
      .attr("role", "application")
      .attr(
        "aria-label",
        `Map of ${side.entity}s: arrow keys move it, plus and minus zoom, 0 shows all. ` +
          "The search above it finds an id.",
      );
    this.details = plot.append("div").attr("class", "details").attr("aria-live", "polite");
    this.details
      .append("p")
      .attr("class", "quiet")
      .text("Point at the map, or search, to see what is where.");
    this.listen();
    this.color([...this.ways.keys()][0]);
  }

  describe(parent) {
    const { side } = this;
    if (side.earlier) return this.describeBoth(parent);
    const how = side.method ? `drawn by ${side.method}` : "drawn by pca for this page alone";
    const line = parent.append("p");
    number(line, side.points);
    line.append("span").text(` of `);
    number(line, side.total);
    line
      .append("span")
      .text(
        ` ${side.entity}s, ${how}. ` +
          (side.points < side.total
            ? "The others are left out: no more are drawn than 100,000, nor what has no direction. "
            : "") +
          "Near is alike. Drag to move, scroll to zoom.",
      );
  }

  describeBoth(parent) {
    const { side } = this;
    const how = side.method
      ? `Each lies as on its run's own map by ${side.method}`
      : "They lie by one pca of both runs";
    const line = parent.append("p");
    number(line, side.points);
    line
      .append("span")
      .text(
        ` ${side.entity}s that both runs have. ${how}, after ${earlier.reference} was turned ` +
          `onto ${model.reference}. Near is alike. Drag to move, scroll to zoom.`,
      );
  }

  /** Buttons for where points lie: as in the first run, or as in the second. */
  runs(parent) {
    const { x, y, neighbors } = this.side;
    const ways = [
      [earlier.reference, this.side.earlier],
      [model.reference, { x, y, neighbors }],
    ];
    const choice = parent.append("span").attr("role", "group").attr("aria-label", "Which run");
    choice.append("span").text("Points lie as in ");
    const buttons = choice
      .selectAll("button")
      .data(ways)
      .join("button")
      .attr("type", "button")
      .attr("aria-pressed", (way, n) => n === 1)
      .text(([name]) => name)
      .on("click", (event, pressed) => {
        buttons.attr("aria-pressed", (way) => way === pressed);
        this.travel(pressed[1]);
      });
  }

  /** Let every point go where it lies in another run. */
  travel({ x, y, neighbors }) {
    const { side } = this;
    const from = [Float32Array.from(side.x), Float32Array.from(side.y)];
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    side.neighbors = neighbors;
    this.moving?.stop();
    this.moving = d3.timer((elapsed) => {
      const share = still ? 1 : d3.easeCubicInOut(Math.min(1, elapsed / 900));
      const between = (start, end) =>
        share === 1 ? end : start.map((value, n) => value + share * (end[n] - value));
      [side.x, side.y] = [between(from[0], x), between(from[1], y)];
      this.draw();
      if (share === 1) this.moving.stop();
    });
  }

  tools(parent) {
    const bar = parent.append("div").attr("class", "tools");
    if (this.side.earlier) this.runs(bar);
    const color = bar
      .append("label")
      .text("Color by ")
      .append("select")
      .on("change", (event) => this.color(event.target.value));
    color
      .selectAll("option")
      .data([...this.ways.keys()])
      .join("option")
      .text((name) => name);
    bar
      .append("label")
      .text("Find ")
      .append("input")
      .attr("type", "search")
      .attr("placeholder", `${this.side.entity} id${this.side.labels ? " or label" : ""}`)
      .on("input", (event) => this.find(event.target.value));
    bar
      .append("button")
      .attr("type", "button")
      .text("Show all")
      .on("click", () => this.fit());
    if (!data.clusters[this.side.entity].length) {
      missing(
        parent,
        `There are no clusters to color by. Make them:`,
        `embsql cluster ${model.reference} --entity ${this.side.entity}`,
      );
    }
  }

  color(name) {
    this.way = this.ways.get(name);
    this.way.colors ??= Uint32Array.from(this.way.palette, pixel);
    // gray first, and the best known last
    this.order = Uint32Array.from(d3.sort(d3.range(this.side.points), (n) => this.way.codes[n]));
    this.key.selectChildren().remove();
    legend(this.key, this.way.legend);
    this.draw();
  }

  listen() {
    const node = this.canvas.node();
    this.zoom = d3
      .zoom()
      .scaleExtent([0.8, 400])
      .on("zoom", ({ transform }) => {
        this.transform = transform;
        this.soon();
      });
    this.canvas
      .call(this.zoom)
      .on("dblclick.zoom", null)
      .on("mousemove", (event) => this.look(this.nearest(d3.pointer(event), 12)))
      .on("click", (event) => this.look(this.nearest(d3.pointer(event), 30)))
      .on("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.soon()).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.soon());
  }

  press(event) {
    const step = {
      ArrowLeft: [60, 0],
      ArrowRight: [-60, 0],
      ArrowUp: [0, 60],
      ArrowDown: [0, -60],
    }[event.key];
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 }[event.key];
    if (step)
      this.canvas.call(
        this.zoom.translateBy,
        step[0] / this.transform.k,
        step[1] / this.transform.k,
      );
    else if (factor) this.canvas.call(this.zoom.scaleBy, factor);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  fit() {
    this.canvas.call(this.zoom.transform, d3.zoomIdentity);
  }

  soon() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.draw();
    });
  }

  /** From a point's numbers to where it is on the screen: [scale, dx, dy]. */
  frame() {
    const { clientWidth: width, clientHeight: height } = this.canvas.node();
    const side = Math.min(width, height) - 40;
    const { k, x, y } = this.transform;
    return [(k * side) / 65535, (k * (width - side)) / 2 + x, (k * (height + side)) / 2 + y];
  }

  nearest([px, py], reach) {
    const [scale, dx, dy] = this.frame();
    const { x, y } = this.side;
    let [best, found] = [reach * reach, -1];
    for (let n = 0; n < x.length; n += 1) {
      const [ox, oy] = [x[n] * scale + dx - px, dy - y[n] * scale - py];
      const distance = ox * ox + oy * oy;
      if (distance < best) [best, found] = [distance, n];
    }
    return found;
  }

  /** Points as squares of a picture: 100,000 take a few milliseconds, and no graphics card. */
  draw() {
    const node = this.canvas.node();
    const ratio = devicePixelRatio || 1;
    const [width, height] = [
      Math.round(node.clientWidth * ratio),
      Math.round(node.clientHeight * ratio),
    ];
    if (!width || !height) return;
    if (node.width !== width || node.height !== height) [node.width, node.height] = [width, height];
    const context = node.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (this.side.x.length > 5000) this.squares(context, width, height, ratio);
    else this.circles(context, ratio);
    this.mark(context, ratio);
    this.frames = (this.frames ?? 0) + 1;
    node.dataset.frames = this.frames;
  }

  squares(context, width, height, ratio) {
    if (this.picture?.width !== width || this.picture.height !== height)
      this.picture = context.createImageData(width, height);
    const pixels = new Uint32Array(this.picture.data.buffer);
    pixels.fill(0);
    const [scale, dx, dy] = this.frame().map((value) => value * ratio);
    const size = Math.round(ratio * Math.min(6, 1.5 + Math.log2(1 + this.transform.k) / 2));
    const { x, y } = this.side;
    const { codes, colors } = this.way;
    for (const n of this.order) {
      const left = Math.round(x[n] * scale + dx) - (size >> 1);
      const top = Math.round(dy - y[n] * scale) - (size >> 1);
      if (left < 0 || top < 0 || left + size > width || top + size > height) continue;
      const color = colors[codes[n]];
      const end = (top + size) * width + left;
      for (let row = top * width + left; row < end; row += width)
        for (let pixel = row; pixel < row + size; pixel += 1) pixels[pixel] = color;
    }
    context.putImageData(this.picture, 0, 0);
  }

  circles(context, ratio) {
    const [scale, dx, dy] = this.frame();
    const { x, y } = this.side;
    const radius =
      Math.max(2, Math.min(5, 160 / Math.sqrt(x.length))) *
      Math.min(2, Math.sqrt(this.transform.k));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.globalAlpha = 0.8;
    for (const n of this.order) {
      context.fillStyle = this.way.palette[this.way.codes[n]];
      context.beginPath();
      context.arc(x[n] * scale + dx, dy - y[n] * scale, radius, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  /** A ring around the point one looks at, and lines to its neighbors, seen on any ground. */
  mark(context, ratio) {
    if (this.chosen < 0) return;
    const [scale, dx, dy] = this.frame();
    const at = (n) => [this.side.x[n] * scale + dx, dy - this.side.y[n] * scale];
    const [x, y] = at(this.chosen);
    const lines = new Path2D();
    lines.arc(x, y, 8, 0, 2 * Math.PI);
    for (const other of this.neighbors(this.chosen)) {
      lines.moveTo(x, y);
      lines.lineTo(...at(other));
    }
    const style = getComputedStyle(this.canvas.node());
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const [color, width] of [
      [style.backgroundColor, 5],
      [style.color, 1.75],
    ]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.stroke(lines);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  neighbors(n) {
    const { neighbors, points } = this.side;
    const width = neighbors ? neighbors.length / points : 0;
    return Array.from({ length: width }, (_, rank) => neighbors[n * width + rank]).filter(
      (other) => other >= 0,
    );
  }

  look(n) {
    if (n < 0 || n === this.chosen) return;
    this.chosen = n;
    this.soon();
    const { side, details } = this;
    details.selectChildren().remove();
    word(details.append("h3"), this.name(n));
    if (side.labels?.[n]) word(details.append("p").attr("class", "quiet"), side.ids[n]);
    const facts = details.append("p");
    number(facts, side.interactions[n]);
    facts.append("span").text(interactions(side.interactions[n]));
    if (side.shift) details.append("p").text(`moved ${written(side.shift[n])}`);
    if (side.cluster[n] >= 0)
      word(details.append("p"), `cluster ${clusterName(side, side.cluster[n])}`);
    if (side.cohorts[side.cohort[n]])
      word(details.append("p"), `${side.cohort_set}: ${side.cohorts[side.cohort[n]]}`);
    const near = this.neighbors(n);
    if (near.length) this.list("Nearest", near);
    else if (!side.neighbors)
      details
        .append("p")
        .attr("class", "quiet")
        .text(
          "Neighbors are not on this page, which holds them for up to 20,000 points where all " +
            `are drawn. Ask in SQL, with similar_${side.entity}s.`,
        );
  }

  list(title, points) {
    this.details.append("h3").text(title);
    this.details
      .append("div")
      .selectAll("button")
      .data(points)
      .join("button")
      .attr("type", "button")
      .on("click", (event, n) => this.go(n))
      .append("bdi")
      .text((n) => this.name(n));
  }

  /** What a point is called: its label, where it has one. */
  name(n) {
    return this.side.labels?.[n] ?? this.side.ids[n];
  }

  find(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return;
    const found = [];
    for (let n = 0; n < this.side.ids.length && found.length < 12; n += 1) {
      const known = `${this.side.ids[n]}\n${this.side.labels?.[n] ?? ""}`;
      if (known.toLowerCase().includes(wanted)) found.push(n);
    }
    this.details.selectChildren().remove();
    if (!found.length) this.details.append("p").text("Nothing on this map is called that.");
    else this.list("Found", found);
  }

  /** Move the map so that a point is in its middle. */
  go(n) {
    const { clientWidth: width, clientHeight: height } = this.canvas.node();
    const [scale, dx, dy] = this.frame();
    const { k } = this.transform;
    const [x, y] = [this.side.x[n] * scale + dx, dy - this.side.y[n] * scale];
    this.canvas.call(this.zoom.translateBy, (width / 2 - x) / k, (height / 2 - y) / k);
    this.look(n);
  }
}
