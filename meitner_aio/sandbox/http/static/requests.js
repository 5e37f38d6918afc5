// The last requests, asked for each second while the page is seen. What comes from requests is only ever text.
"use strict";

const EVERY = 1000;
const at = (id) => document.getElementById(id);
let last = "";

function made(tag, kind, text) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function say(text, alert) {
  at("said").textContent = text;
  at("said").classList.toggle("alert", Boolean(alert));
}

function status(one) {
  const kind = one.status === 0 || one.status >= 500 ? "bad" : one.status >= 400 ? "poor" : "good";
  const waits = one.milliseconds === null;
  const cell = made("td", "status");
  cell.append(made("span", `badge ${waits ? "poor" : kind}`, waits ? "…" : one.status || "cut"));
  return cell;
}

function duration(milliseconds) {
  if (milliseconds === null) return "";
  return milliseconds < 1000 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

function path(one) {
  const cell = made("td", "path", one.path);
  if (one.query) cell.append(made("span", "query", `?${one.query}`));
  if (one.problem) cell.append(made("span", "problem", one.problem));
  return cell;
}

function time(text) {
  const when = new Date(text);
  const cell = made("td", "time", when.toLocaleTimeString("sv-SE"));
  cell.title = text;
  return cell;
}

function row(one) {
  const line = made("tr");
  const fault = made("td", "fault");
  if (one.fault) fault.append(made("span", "chip", one.fault));
  line.append(
    time(one.time),
    made("td", "method", one.method),
    path(one),
    made("td", "operation", one.operation),
    status(one),
    made("td", "number", duration(one.milliseconds)),
    fault,
    made("td", "number remaining", one.remaining),
  );
  return line;
}

function chip(one) {
  const often = one.times === null ? "" : ` × ${one.times}`;
  const chance = one.probability < 1 ? `, ${Math.round(one.probability * 100)} %` : "";
  const narrowed = one.operations.length ? `, ${one.operations.join(" ")}` : "";
  return made("span", "chip", `${one.fault}${often}${chance}${narrowed}`);
}

function show(news) {
  at("rows").replaceChildren(...news.requests.map(row));
  at("table").hidden = news.requests.length === 0;
  at("empty").hidden = news.requests.length !== 0;
  at("count").textContent = news.requests.length ? `The last ${news.requests.length}, newest first.` : "";
  at("chips").replaceChildren(...news.faults.map(chip));
  at("armed").hidden = news.faults.length === 0;
}

async function refresh() {
  try {
    const answer = await fetch("/requests.json");
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    if (text !== last) show(JSON.parse(text));
    if (at("said").classList.contains("alert")) say("");
    last = text;
  } catch (error) {
    say(`The sandbox does not answer: ${error.message}`, true);
  }
}

async function order(method, url, body) {
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(await answer.text());
    await refresh();
  } catch (error) {
    say(error.message, true);
  }
}

async function begin() {
  at("heal").addEventListener("click", () => order("DELETE", "/faults.json"));
  at("clear").addEventListener("click", () => order("DELETE", "/requests.json"));
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  setInterval(() => document.hidden || refresh(), EVERY);
  await refresh();
  const { names } = await (await fetch("/faults.json")).json();
  at("faults").append(
    ...names.map((name) => {
      const button = made("button", "fault mono", name);
      button.type = "button";
      button.addEventListener("click", () =>
        order("POST", "/faults.json", { fault: name, ...JSON.parse(at("when").value) }),
      );
      return button;
    }),
  );
}

begin();
