// The sections of the page about two runs, one function each: a is the first, b the second.
"use strict";

const RUNS = new Map(
  earlier
    ? [
        [earlier.reference, system("a", earlier.reference, "var(--itemknn)")],
        [model.reference, system("b", model.reference, "var(--run)")],
      ]
    : [],
);

function system(key, name, color) {
  return { key, low: `${key}_low`, high: `${key}_high`, name, color };
}

function showFigures() {
  const parent = body("figures");
  if (data.paired) showPaired(parent, data.paired);
  if (data.gate) showGate(parent, data.gate);
  if (data.figures.length) showOwnFigures(parent);
  if (!data.paired) showHowToPair(parent);
}

function showPaired(parent, { basis, split, users, left_out, figures }) {
  const how =
    basis === "vectors"
      ? "as they are, about a test that neither was trained on"
      : `after both algorithms were trained anew on one part of ${model.reference}'s pairs`;
  const line = parent.append("p").text("Both were asked about the same ");
  number(line, users);
  line.append("span").text(` users, ${how} (split ${split}). `);
  if (left_out) {
    number(line, left_out);
    line.append("span").text(" more are left out, as one of the two does not know them.");
  }
  const overall = figures.filter((row) => row.segment === "all");
  const caption = `${model.reference} less ${earlier.reference}, with 95% intervals`;
  differences(figure(parent, `${caption}: all users`), overall, (row) => `${row.metric}@${row.k}`);
  const parts = figures.filter((row) => row.metric === "ndcg" && row.segment !== "all");
  if (parts.length)
    differences(figure(parent, `${caption}: ndcg by segment`), parts, (row) => row.segment);
  table(
    folded(parent, "Every difference"),
    [
      ["segment", (row) => row.segment],
      ["metric", (row) => row.metric],
      ["k", (row) => row.k],
      [earlier.reference, (row) => row.a],
      [model.reference, (row) => row.b],
      ["difference", (row) => row.difference],
      ["from", (row) => row.ci_low],
      ["to", (row) => row.ci_high],
    ],
    figures,
  );
}

function showGate(parent, gate) {
  const line = parent.append("p");
  line
    .append("span")
    .text(
      `When run ${gate.run_id} was to replace run ${gate.compared_run}, the gate asked about ` +
        `the same ${written(gate.users)} users: ${gate.metric}@${gate.k} of `,
    );
  number(line, gate.new_value);
  line.append("span").text(" and ");
  number(line, gate.live_value);
  line
    .append("span")
    .text(
      `, a difference of ${signed(gate.difference)} ` +
        `(95% interval ${signed(gate.ci_low)} to ${signed(gate.ci_high)}).`,
    );
}

function showOwnFigures(parent) {
  for (const [split, rows] of d3.group(data.figures, (row) => row.split)) {
    parent.append("h3").text(`Each by its own evaluation (split ${split})`);
    parent.append("p").text(asked(rows));
    const ranked = rows.filter((row) => row.k > 0);
    const k = d3.min(ranked, (row) => row.k);
    const overall = ranked.filter(
      (row) => row.k === k && row.segment === "all" && ACCURACY.includes(row.metric),
    );
    legend(parent, [...RUNS.values()]);
    bars(
      figure(parent, "All users; lines at the ends of bars are 95% intervals of each run"),
      d3.sort(overall, (row) => ACCURACY.indexOf(row.metric)),
      (row) => `${row.metric}@${k}`,
      [...RUNS.values()],
    );
    table(
      folded(parent, "Every figure"),
      [
        ["segment", (row) => row.segment],
        ["metric", (row) => row.metric],
        ["k", (row) => row.k],
        [earlier.reference, (row) => row.a],
        ["from", (row) => row.a_low],
        ["to", (row) => row.a_high],
        [model.reference, (row) => row.b],
        ["from", (row) => row.b_low],
        ["to", (row) => row.b_high],
        ["difference", (row) => row.difference],
      ],
      rows,
    );
  }
}

/** Whether two evaluations can have asked the same. */
function asked(rows) {
  const count = (metric) =>
    rows.find((row) => row.segment === "asked" && row.metric === metric) ?? { a: 0, b: 0 };
  const [users, pairs] = [count("users"), count("pairs")];
  const same = users.a === users.b && pairs.a === pairs.b && earlier.seed === model.seed;
  const counts = (key) => `${written(pairs[key])} pairs of ${written(users[key])} users`;
  return same
    ? `Each was asked about ${counts("a")}.`
    : `Their test sets differ: ${earlier.reference} was asked about ${counts("a")}, ` +
        `${model.reference} about ${counts("b")}. A difference may come from that.`;
}

function showHowToPair(parent) {
  if (!model.users || !earlier.users)
    return missing(parent, "One of the two has no users, so nobody can be asked which is better.");
  const reason = data.figures.length
    ? "What each user got is not kept with a run, so these differences have no interval."
    : "No evaluation measured both on the same kind of split.";
  if (earlier.registered || model.registered)
    return missing(
      parent,
      `${reason} Of vectors that were not trained here: give embsql report a --test of yours ` +
        "about which both are asked, a table of user_id and item_id.",
    );
  return missing(
    parent,
    `${reason} Train both anew on the same part, and ask both:`,
    `embsql report ${earlier.reference} ${model.reference} --evaluate`,
  );
}

function showAnswers() {
  for (const { entity, asked, overlap, histogram, tiers, examples } of data.answers.sides) {
    if (!asked) continue;
    const parent = body("answers");
    const what = entity === "item" ? "the ten most like them" : "ten recommendations";
    parent.append("h3").text(entity === "item" ? "Items" : "Users");
    const line = parent.append("p").text("Of ");
    number(line, asked);
    line
      .append("span")
      .text(
        ` ${entity}s both were asked for ${what} (drawn by seed ${data.answers.seed}). ` +
          `On average ${percent(overlap)} of the answers are in both.`,
      );
    const drawn = figure(parent, `How many ${entity}s have which share of answers in both`);
    columns(drawn, histogram, [-0.05, 1.05], "Shares of answers in both");
    table(
      parent,
      [
        [`${entity}s with interactions from`, (row) => row.least],
        ["to", (row) => row.most],
        ["asked", (row) => row.asked],
        ["share in both", (row) => row.overlap],
      ],
      tiers,
    );
    const title = `From the best known to the least: the ${entity}s whose answers changed most`;
    const show = entity === "item" ? item : word;
    cards(parent, title, examples, show, bothAnswers);
  }
  if (!data.answers.sides.some((one) => one.asked))
    missing(body("answers"), "Neither run answers about anything that both have.");
}

/** What either run answers; what is in both is marked. */
function bothAnswers(card, row) {
  card
    .append("p")
    .attr("class", "quiet")
    .text(`${percent(row.overlap)} in both, marked =`);
  const parts = card.append("div").attr("class", "both");
  for (const { key, name } of RUNS.values()) {
    const part = parts.append("div");
    part.append("h5").text(name);
    const shared = new Set(row.a.filter((id) => row.b.includes(id)));
    part
      .append("ol")
      .selectAll("li")
      .data(row[key])
      .join("li")
      .each(function (id) {
        item(d3.select(this), id);
        if (shared.has(id)) d3.select(this).append("span").attr("class", "quiet").text("\u00a0=");
      });
  }
}

function showOptions() {
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value ?? null));
  if (!data.options.length) missing(body("options"), "Both were made alike.");
  else
    table(
      body("options"),
      [
        ["what", (row) => row.name.replaceAll("_", " ")],
        [earlier.reference, (row) => text(row.a)],
        [model.reference, (row) => text(row.b)],
      ],
      data.options,
    );
}
