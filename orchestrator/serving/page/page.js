// The page that sends one picture to a model. All names and answers are text, never markup.
"use strict";

const MOST_ROWS = 10;
let numSent = 0;
const element = (id) => document.getElementById(id);

function say(text, isWrong = false) {
  element("said").textContent = text;
  element("said").className = isWrong ? "wrong" : "";
}

async function ask(path, options = {}) {
  const token = element("token").value;
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) element("token-row").hidden = false;
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

async function listModels() {
  try {
    const { models } = await ask("v2/models");
    element("model").replaceChildren(...models.map((name) => new Option(name, name)));
    say(models.length ? "" : "The registry has no models.");
  } catch (error) {
    say(error.message, true);
  }
}

function rowsOf(target) {
  if (target.probabilities) {
    const rows = Object.entries(target.probabilities).sort((one, other) => other[1] - one[1]);
    const flags = target.flags && (target.flags.length ? target.flags.join(", ") : "none");
    return [["answer", flags ?? target.class], ...rows.slice(0, MOST_ROWS)];
  }
  if (target.values) return target.values.map((value, place) => [`value ${place}`, value]);
  const counts = target.class_names.map(() => 0);
  for (const place of target.classes.flat()) counts[place] += 1;
  return target.class_names.map((name, place) => [name, `${counts[place]} pixels`]);
}

function rowElement([name, value]) {
  const row = document.createElement("tr");
  const isShare = typeof value === "number";
  for (const text of [name, isShare ? value.toPrecision(4) : value]) {
    row.insertCell().textContent = text;
  }
  return row;
}

function show(answer) {
  const parts = [];
  for (const [name, target] of Object.entries(answer.targets)) {
    const heading = document.createElement("h2");
    heading.textContent = name;
    const table = document.createElement("table");
    table.append(...rowsOf(target).map(rowElement));
    parts.push(heading, table);
  }
  element("answer").replaceChildren(...parts);
  element("result").hidden = false;
  say(`${answer.model_name} version ${answer.model_version} answers:`);
}

async function predict(file) {
  element("result").hidden = true;
  if (!file) return;
  const number = ++numSent;
  say("…");
  URL.revokeObjectURL(element("shown").src);
  element("shown").src = URL.createObjectURL(file);
  const version = element("version").value.trim();
  const model = `v2/models/${encodeURIComponent(element("model").value)}`;
  try {
    const path = version ? `${model}/versions/${encodeURIComponent(version)}` : model;
    const answer = await ask(`${path}/picture`, { method: "POST", body: file });
    // The answer to an earlier picture would stand beside the wrong one.
    if (number === numSent) show(answer);
  } catch (error) {
    if (number === numSent) say(error.message, true);
  }
}

const chosen = () => element("picture").files[0];
for (const id of ["picture", "model", "version"]) element(id).addEventListener("change", () => predict(chosen()));
element("token").addEventListener("change", listModels);
element("form").addEventListener("submit", (event) => event.preventDefault());
for (const kind of ["dragover", "dragleave", "drop"]) {
  element("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      element("picture").files = event.dataTransfer.files;
      predict(chosen());
    }
  });
}
listModels();
