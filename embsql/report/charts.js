// Charts: bars of a run and its rivals, a curve by epoch, a histogram.
"use strict";

const SYSTEMS = [
  { key: "value", low: "ci_low", high: "ci_high", name: "this run", color: "var(--run)" },
  { key: "itemknn_value", name: "item-kNN", color: "var(--itemknn)" },
  { key: "popular_value", name: "what is popular", color: "var(--popular)" },
];

/** Of each row a bar for each system, with the interval of its figure where there is one. */
function bars(parent, rows, name, systems = SYSTEMS) {
  const [width, left, right, thick, gap] = [760, 130, 60, 14, 12];
  const high = systems.length * thick + gap;
  const top = d3.max(rows, (row) =>
    d3.max(systems, (system) => d3.max([row[system.high], row[system.key]])),
  );
  const x = d3.scaleLinear([0, top || 1], [left, width - right]);
  const svg = parent
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${rows.length * high}`)
    .attr("role", "img")
    .attr(
      "aria-label",
      rows
        .map(
          (row) =>
            `${name(row)}: ` +
            systems.map((system) => `${system.name} ${written(row[system.key])}`).join(", "),
        )
        .join("; "),
    );
  const groups = svg
    .selectAll("g")
    .data(rows)
    .join("g")
    .attr("transform", (row, n) => `translate(0, ${n * high})`);
  groups
    .append("text")
    .attr("x", left - 10)
    .attr("y", (systems.length / 2) * thick + 4)
    .attr("text-anchor", "end")
    .text(name);
  systems.forEach((system, n) => {
    const there = groups.filter((row) => row[system.key] !== null);
    there
      .append("rect")
      .attr("x", left)
      .attr("y", n * thick)
      .attr("height", thick - 2)
      .attr("fill", system.color)
      .attr("width", (row) => x(row[system.key]) - left);
    there
      .append("text")
      .attr("y", n * thick + thick - 4)
      .attr("x", (row) => x(Math.max(row[system.key], row[system.high] ?? 0)) + 6)
      .text((row) => written(row[system.key]));
    there
      .filter((row) => (row[system.low] ?? null) !== null)
      .append("path")
      .attr("stroke", "var(--text)")
      .attr("fill", "none")
      .attr("d", (row) => whisker(x(row[system.low]), x(row[system.high]), (n + 0.5) * thick - 1));
  });
}

/** A line from one end of an interval to the other, with both ends marked. */
const whisker = (from, to, y) => `M${from},${y - 3}v6m0,-3H${to}m0,-3v6`;

/** Of each row a difference, as a dot on its interval, on either side of zero. */
function differences(parent, rows, name) {
  const [width, left, right, high] = [760, 110, 340, 24];
  const most = d3.max(rows, (row) => Math.max(-row.ci_low, row.ci_high)) || 1;
  const x = d3.scaleLinear([-most, most], [left, width - right]);
  const verdict = (row) =>
    row.ci_low > 0 ? "better" : row.ci_high < 0 ? "worse" : "no clear difference";
  const sentence = (row) =>
    `${signed(row.difference)} (${signed(row.ci_low)} to ${signed(row.ci_high)}), ${verdict(row)}`;
  const svg = parent
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${rows.length * high + 24}`)
    .attr("role", "img")
    .attr("aria-label", rows.map((row) => `${name(row)}: ${sentence(row)}`).join("; "));
  svg
    .append("path")
    .attr("stroke", "var(--quiet)")
    .attr("stroke-dasharray", "3 3")
    .attr("d", `M${x(0)},0V${rows.length * high}`);
  const groups = svg
    .selectAll("g")
    .data(rows)
    .join("g")
    .attr("transform", (row, n) => `translate(0, ${(n + 0.5) * high})`);
  groups
    .append("text")
    .attr("x", left - 10)
    .attr("y", 4)
    .attr("text-anchor", "end")
    .text(name);
  groups
    .append("path")
    .attr("stroke", "var(--text)")
    .attr("fill", "none")
    .attr("d", (row) => whisker(x(row.ci_low), x(row.ci_high), 0));
  groups
    .append("circle")
    .attr("r", 5)
    .attr("cx", (row) => x(row.difference))
    .attr(
      "fill",
      (row) => `var(--${row.ci_high < 0 ? "alarm" : row.ci_low > 0 ? "run" : "popular"})`,
    );
  groups
    .append("text")
    .attr("x", width - right + 16)
    .attr("y", 4)
    .text(sentence);
  svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0, ${rows.length * high})`)
    .call(d3.axisBottom(x).ticks(5));
}

function curve(parent, metric, rows) {
  const [width, height, left, bottom] = [760, 180, 70, 24];
  const x = d3.scaleLinear(
    d3.extent(rows, (row) => row.epoch),
    [left, width - 20],
  );
  const y = d3
    .scaleLinear(
      d3.extent(rows, (row) => row.value),
      [height - bottom, 10],
    )
    .nice();
  const ends = [rows[0], rows.at(-1)].map((row) => written(row.value));
  const svg = parent
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "img")
    .attr("aria-label", `${metric}: ${ends[0]} in the first epoch, ${ends[1]} in the last`);
  const whole = d3.max(rows, (row) => row.epoch) - d3.min(rows, (row) => row.epoch);
  svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0, ${height - bottom})`)
    .call(d3.axisBottom(x).ticks(Math.min(10, whole)).tickFormat(d3.format("d")));
  svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(${left}, 0)`)
    .call(d3.axisLeft(y).ticks(5));
  svg
    .append("path")
    .attr("fill", "none")
    .attr("stroke", "var(--run)")
    .attr("stroke-width", 2)
    .attr(
      "d",
      d3.line(
        (row) => x(row.epoch),
        (row) => y(row.value),
      )(rows),
    );
  if (rows.length < 50)
    svg
      .selectAll("circle")
      .data(rows)
      .join("circle")
      .attr("r", 3)
      .attr("fill", "var(--run)")
      .attr("cx", (row) => x(row.epoch))
      .attr("cy", (row) => y(row.value));
}

/** How many are in each of equal steps of a range. */
function columns(parent, bins, [least, greatest], what) {
  const [width, height, bottom] = [760, 110, 22];
  const x = d3.scaleLinear([least, greatest || 1], [10, width - 10]);
  const step = (x.range()[1] - x.range()[0]) / bins.length;
  const y = d3.scaleLinear([0, d3.max(bins)], [0, height - bottom - 6]);
  const svg = parent
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "img")
    .attr(
      "aria-label",
      `${what} from ${written(least)} to ${written(greatest)} in ${bins.length} steps: ${bins.join(", ")}`,
    );
  svg
    .selectAll("rect")
    .data(bins)
    .join("rect")
    .attr("fill", "var(--run)")
    .attr("x", (count, n) => x.range()[0] + n * step + 1)
    .attr("width", step - 2)
    .attr("y", (count) => height - bottom - y(count))
    .attr("height", y);
  svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0, ${height - bottom})`)
    .call(d3.axisBottom(x).ticks(10));
}
