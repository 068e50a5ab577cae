// The sections of the page about one run, one function each.
"use strict";

const ACCURACY = ["ndcg", "recall", "hit_rate", "mrr", "map"];

function showModel() {
  const options = Object.entries({
    ...model.params,
    seed: model.seed,
    similarity: model.similarity,
  });
  body("model").append("h3").text("Source");
  body("model").append("pre").text(model.source_sql);
  body("model").append("h3").text("Options");
  table(
    body("model"),
    [
      ["option", ([name]) => name],
      ["value", ([, value]) => JSON.stringify(value)],
    ],
    options,
  );
  body("model").append("h3").text("Runs of this model");
  table(
    body("model"),
    [
      ["run", null, (cell, run) => number(cell, run.run_id)],
      ["status", (run) => run.status],
      ["algorithm", (run) => run.algorithm],
      ["finished", (run) => run.finished_at],
      ["figures", (run) => run.metrics],
      ["why not", (run) => run.error],
    ],
    model.runs,
  );
  const versions = Object.entries(model.versions).map(([name, version]) => `${name} ${version}`);
  body("model")
    .append("p")
    .attr("class", "quiet")
    .text(`Took: ${model.phase_seconds ?? "–"} (seconds). Made with ${versions.join(", ")}.`);
}

function showQuality() {
  const parent = body("quality");
  if (!data.quality.length) {
    const reason = !model.users
      ? "This run has no users, so nobody can be asked what they would have liked."
      : model.evaluate
        ? "Nobody measured this run. Measure it:"
        : "Nobody measured this run, whose vectors were not trained here. The next section says how.";
    missing(parent, reason, model.evaluate);
    return;
  }
  for (const [split, rows] of d3.group(data.quality, (row) => row.split))
    showSplit(parent, split, rows);
}

function showSplit(parent, split, rows) {
  const ranked = rows.filter((row) => row.k > 0);
  const k = d3.min(ranked, (row) => row.k);
  const shortest = ranked.filter((row) => row.k === k);
  parent
    .append("p")
    .text(
      `Measured on interactions that were held out (split ${split}), in lists of ${k}. ` +
        "Lines at the ends of bars are 95% intervals.",
    );
  legend(parent, SYSTEMS);
  const overall = shortest.filter((row) => row.segment === "all" && ACCURACY.includes(row.metric));
  bars(
    figure(parent, "All users"),
    d3.sort(overall, (row) => ACCURACY.indexOf(row.metric)),
    (row) => `${row.metric}@${k}`,
  );
  const segments = shortest.filter((row) => row.metric === "ndcg" && row.segment !== "all");
  if (segments.length) bars(figure(parent, `ndcg@${k} by segment`), segments, (row) => row.segment);
  table(
    folded(parent, "Every figure"),
    [
      ["segment", (row) => row.segment],
      ["metric", (row) => row.metric],
      ["k", (row) => row.k],
      ["this run", (row) => row.value],
      ["from", (row) => row.ci_low],
      ["to", (row) => row.ci_high],
      ["item-kNN", (row) => row.itemknn_value],
      ["popular", (row) => row.popular_value],
    ],
    rows,
  );
}

function showCurve() {
  const epochs = d3.groups(
    data.curve.filter((row) => row.value !== null),
    (row) => row.metric,
  );
  if (!epochs.length)
    return missing(
      body("curve"),
      "This run left no figures by epoch: its algorithm has none, or they were removed.",
    );
  for (const [metric, rows] of epochs)
    curve(figure(body("curve"), `${metric} by epoch`), metric, rows);
  return table(
    folded(body("curve"), "Every epoch"),
    [
      ["metric", (row) => row.metric],
      ["epoch", (row) => row.epoch],
      ["value", (row) => row.value],
    ],
    data.curve,
  );
}

function showClusters() {
  for (const [entity, rows] of Object.entries(data.clusters)) {
    if (!rows.length) {
      if (!model[`${entity}s`]) continue;
      missing(
        body("clusters"),
        `No clusters of ${entity}s were made. Make them:`,
        `embsql cluster ${model.reference} --entity ${entity}`,
      );
      continue;
    }
    const most = d3.max(rows, (row) => row.size);
    body("clusters").append("h3").text(`Clusters of ${entity}s`);
    table(
      body("clusters"),
      [
        ["cluster", null, (cell, row) => number(cell, row.cluster_id)],
        ["label", (row) => row.label],
        ["size", (row) => row.size],
        [
          "share of the largest",
          null,
          (cell, row) =>
            cell
              .append("span")
              .attr("class", "meter")
              .style("width", `${(8 * row.size) / most}rem`),
        ],
        ["radius", (row) => row.radius],
        ["silhouette", (row) => row.silhouette],
        [
          "best known",
          null,
          (cell, row) => list(cell, row.top_ids, entity === "item" ? item : word),
        ],
      ],
      rows,
    );
  }
}

function list(cell, names, show) {
  names.forEach((name, n) => {
    if (n) cell.append("span").text(", ");
    show(cell, name);
  });
}

function showExamples() {
  const { items, users, seed } = data.examples;
  body("examples")
    .append("p")
    .text(
      `Drawn by seed ${seed}, from the best known to the least. ` +
        "Would you have put these side by side?",
    );
  const parent = body("examples");
  cards(parent, "Items and what is most like them", items, item, (card, row) =>
    answers(card, row.similar, "No other item has a direction that could be compared."),
  );
  const title = "Users, their last items, and what is recommended";
  cards(parent, title, users, word, (card, row) => {
    card.append("h5").text("Last items");
    const last = row.history.map((past) => past.item_id);
    list(card.append("p"), last, item);
    card.append("h5").text("Recommended");
    answers(card, row.best, "Nothing: all there is was met.");
  });
}

function cards(parent, title, rows, show, fill) {
  if (!rows.length) return;
  parent.append("h3").text(title);
  const grid = parent
    .append("div")
    .attr("class", "cards")
    .selectAll("article")
    .data(rows)
    .join("article")
    .attr("class", "card");
  grid.each(function (row) {
    const card = d3.select(this);
    show(card.append("h4"), row.subject);
    const facts = card.append("p").attr("class", "quiet");
    if (show === item && labels.has(row.subject)) word(facts, `${row.subject}: `);
    number(facts, row.interactions);
    facts.append("span").text(interactions(row.interactions));
    fill(card, row);
  });
}

function answers(card, rows, none) {
  if (!rows.length) card.append("p").text(none);
  card
    .append("ol")
    .selectAll("li")
    .data(rows)
    .join("li")
    .each(function (row) {
      const line = d3.select(this);
      item(line, row.item_id);
      line
        .append("span")
        .attr("class", "quiet")
        .text(row.source && row.source !== "model" ? ` (${row.source}) ` : " ");
      number(line.append("span").attr("class", "quiet"), row.score);
    });
}

function showDrift() {
  const { reason, before, sides, movers } = data.drift;
  if (reason === "first")
    return missing(body("drift"), "There is no finished run before this one to compare with.");
  if (reason === "large")
    return missing(
      body("drift"),
      "Runs of so many vectors are compared in SQL, not for a page:",
      `SELECT * FROM embsql.drift('${before}', '${model.reference}')`,
    );
  body("drift")
    .append("p")
    .text(
      `Since ${before}, after the one space was turned onto the other. ` +
        "A shift of 0 did not move, of 1 points elsewhere. " +
        "The overlap is the share of the ten nearest that stayed the same.",
    );
  table(
    body("drift"),
    [
      ["of", (row) => `${row.entity}s`],
      ["in both runs", (row) => row.ids],
      ["median shift", (row) => row.median],
      ["90% shift less than", (row) => row.p90],
      ["neighbor overlap", (row) => row.neighbor_overlap],
    ],
    sides,
  );
  sides
    .filter((row) => row.ids)
    .forEach((row) => {
      const drawn = figure(body("drift"), `How many ${row.entity}s shifted how far`);
      columns(drawn, row.histogram, [0, row.greatest], "Shifts");
    });
  body("drift").append("h3").text("Items that moved most");
  return table(
    body("drift"),
    [
      ["item", null, (cell, row) => item(cell, row.entity_id)],
      ["shift", (row) => row.shift],
      ["neighbor overlap", (row) => row.neighbor_overlap],
    ],
    movers,
  );
}

function showHealth() {
  if (data.health.checks.length) showChecks();
  else {
    const question = `SELECT * FROM embsql.embedding_health('${model.reference}')`;
    const reason = "Checks of so many vectors are asked in SQL, not for a page:";
    missing(body("health"), reason, question);
  }
  body("health").append("h3").text("Lengths, duplicates, and who is cold");
  table(
    body("health"),
    [
      ["of", (row) => `${row.entity}s`],
      ["vectors looked at", (row) => row.vectors],
      ["least norm", (row) => row.least_norm],
      ["median", (row) => row.median_norm],
      ["greatest", (row) => row.greatest_norm],
      ["share that equals another", (row) => row.duplicates],
      ["share with at most one interaction", (row) => row.cold],
    ],
    data.health.sides,
  );
}

function showChecks() {
  const verdicts = { true: "✓ fine", false: "✗ worth a look" };
  table(
    body("health"),
    [
      ["of", (row) => `${row.entity}s`],
      ["check", (row) => row.name.replaceAll("_", " ")],
      ["value", (row) => row.value],
      ["bound", (row) => row.threshold],
      [
        "verdict",
        null,
        (cell, row) =>
          cell.classed("bad", row.ok === false).text(verdicts[row.ok] ?? "– not measured"),
      ],
    ],
    data.health.checks,
  );
}

function showValidation() {
  const parent = body("validation");
  if (!data.validation.length)
    return missing(
      parent,
      "Nothing was written down about the source of this run: its vectors came from elsewhere.",
    );
  findings(
    parent,
    data.validation.filter((row) => row.severity !== "ok"),
  );
  const fine = data.validation.filter((row) => row.severity === "ok");
  return findings(folded(parent, `${fine.length} checks found nothing`), fine);
}

function findings(parent, rows) {
  const alarming = ["error", "warning"];
  const severity = (cell, row) =>
    cell.classed("bad", alarming.includes(row.severity)).text(row.severity);
  table(
    parent,
    [
      ["check", (row) => row.name],
      ["severity", null, severity],
      ["rows", (row) => row.rows],
      ["example", (row) => row.example],
      ["what it means", (row) => row.hint],
    ],
    rows,
  );
}

function showNext() {
  if (data.next.some((row) => row.command))
    body("next")
      .append("p")
      .attr("class", "quiet")
      .text("Commands ask the database that EMBSQL_DB names, or embsql --db.");
  body("next")
    .append("ol")
    .attr("class", "next")
    .selectAll("li")
    .data(data.next)
    .join("li")
    .each(function (row) {
      d3.select(this).append("bdi").text(`${row.sentence} `);
      if (row.command) d3.select(this).append("code").text(row.command);
    });
}
