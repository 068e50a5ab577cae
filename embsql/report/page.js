// The head, and every section that the page has.
"use strict";

const SECTIONS = {
  quality: showQuality,
  next: showNext,
  map: showMap,
  clusters: showClusters,
  examples: showExamples,
  curve: showCurve,
  drift: showDrift,
  health: showHealth,
  validation: showValidation,
  model: showModel,
  figures: showFigures,
  answers: showAnswers,
  options: showOptions,
};

function showHead() {
  const runs = earlier ? [earlier, model] : [model];
  d3.select("h1").text(runs.map((run) => run.reference).join(" and "));
  runs.forEach((run) => summary(d3.select("#summary").append("p"), run));
}

function summary(line, run) {
  if (earlier) {
    line.append("span").attr("class", "swatch").style("background", RUNS.get(run.reference).color);
    line.append("b").text(`${run.reference} `);
  }
  line.append("span").attr("class", "badge").text(run.status);
  line.append("span").text(` ${run.algorithm}, `);
  number(line, run.dim);
  line.append("span").text(" dimensions; ");
  for (const [count, what] of [
    [run.users, " users, "],
    [run.items, " items, "],
    [run.interactions, " interactions. "],
  ]) {
    number(line, count);
    line.append("span").text(what);
  }
  line.append("span").text(`Trained ${run.finished_at ?? "–"} UTC.`);
}

showHead();
const made = Array.from(document.querySelectorAll("main > section"), ({ id }) => SECTIONS[id]());
Promise.all(made).then(() => {
  document.body.dataset.ready = "true";
});
