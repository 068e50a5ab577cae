// What every section is made of. Text only ever becomes text: no string is read as HTML.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const model = data.model;
const earlier = data.earlier; // on a page about two runs: the one that the model is compared with
// a Map: of an object, an item called "constructor" would have a label
const labels = new Map(Object.entries(data.labels));

const body = (name) => d3.select(`#${name} .body`);
const written = (value) =>
  value === null || value === undefined
    ? "–"
    : d3.format(Number.isInteger(value) ? "," : ",.4g")(value);

const signed = d3.format("+.4f");
const percent = d3.format(".0%");

const interactions = (count) => (count === 1 ? " interaction" : " interactions");

/** A number as people read it, which keeps its exact value. */
function number(parent, value) {
  const kept = value === null || value === undefined ? "" : value;
  return parent.append("data").attr("value", kept).text(written(value));
}

/** An id or label, in whichever direction it is written. */
const word = (parent, text) => parent.append("bdi").text(text);

/** An item by what it is called, where that is known. */
const item = (parent, id) => word(parent, labels.get(id) ?? id).attr("title", id);

const missing = (parent, sentence, command) => {
  const line = parent.append("p").attr("class", "missing").text(`${sentence} `);
  if (command) line.append("code").text(command);
};

/** A table; a column is [title, row => number or text] or [title, null, (cell, row) => ...]. */
function table(parent, columns, rows) {
  const made = parent.append("div").attr("class", "scroll").append("table");
  const numeric = columns.map(
    ([, value]) => value && rows.some((row) => typeof value(row) === "number"),
  );
  const head = made.append("thead").append("tr");
  columns.forEach(([title], n) =>
    head.append("th").attr("scope", "col").classed("number", numeric[n]).text(title),
  );
  const lines = made.append("tbody").selectAll("tr").data(rows).join("tr");
  columns.forEach(([, value, fill], n) =>
    lines
      .append("td")
      .classed("number", numeric[n])
      .each(function (row) {
        const cell = d3.select(this);
        if (fill) fill(cell, row);
        else if (numeric[n]) number(cell, value(row));
        else word(cell, value(row) ?? "–");
      }),
  );
  return made;
}

function folded(parent, title) {
  const made = parent.append("details");
  made.append("summary").text(title);
  return made;
}

function legend(parent, entries) {
  const items = parent
    .append("ul")
    .attr("class", "legend")
    .selectAll("li")
    .data(entries)
    .join("li");
  items
    .append("span")
    .attr("class", "swatch")
    .style("background", (entry) => entry.color);
  items.append("bdi").text((entry) => entry.name);
}

const figure = (parent, caption) => {
  const made = parent.append("figure");
  made.append("figcaption").text(caption);
  return made;
};
