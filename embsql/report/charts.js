// Charts: bars of a run and its rivals, a curve by epoch, a histogram.
"use strict";

const SYSTEMS = [
  { key: "value", name: "this run", color: "var(--run)" },
  { key: "itemknn_value", name: "item-kNN", color: "var(--itemknn)" },
  { key: "popular_value", name: "what is popular", color: "var(--popular)" },
];

/** Of each row three bars, of the run and its rivals. */
function bars(parent, rows, name) {
  const [width, left, right, thick, gap] = [760, 130, 60, 14, 12];
  const high = 3 * thick + gap;
  const top = d3.max(rows, (row) =>
    d3.max([row.ci_high, ...SYSTEMS.map((system) => row[system.key])]),
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
            SYSTEMS.map((system) => `${system.name} ${written(row[system.key])}`).join(", "),
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
    .attr("y", 1.5 * thick + 4)
    .attr("text-anchor", "end")
    .text(name);
  SYSTEMS.forEach((system, n) => {
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
      .attr("x", (row) => x(n ? row[system.key] : Math.max(row.value, row.ci_high ?? 0)) + 6)
      .text((row) => written(row[system.key]));
  });
  groups
    .filter((row) => row.ci_low !== null)
    .append("path")
    .attr("stroke", "var(--text)")
    .attr("fill", "none")
    .attr("d", (row) => `M${x(row.ci_low)},${thick / 2 - 4}v6m0,-3H${x(row.ci_high)}m0,-3v6`);
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

function histogram(parent, row) {
  const [width, height, bottom] = [760, 110, 22];
  const bins = row.histogram;
  const x = d3.scaleLinear([0, row.greatest || 1], [10, width - 10]);
  const step = (x.range()[1] - x.range()[0]) / bins.length;
  const y = d3.scaleLinear([0, d3.max(bins)], [0, height - bottom - 6]);
  const svg = parent
    .append("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("role", "img")
    .attr(
      "aria-label",
      `Shifts from 0 to ${written(row.greatest)} in ${bins.length} steps: ${bins.join(", ")}`,
    );
  svg
    .selectAll("rect")
    .data(bins)
    .join("rect")
    .attr("fill", "var(--run)")
    .attr("x", (count, n) => x(0) + n * step + 1)
    .attr("width", step - 2)
    .attr("y", (count) => height - bottom - y(count))
    .attr("height", y);
  svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(0, ${height - bottom})`)
    .call(d3.axisBottom(x).ticks(10));
}
