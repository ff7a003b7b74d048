// Charts of the history. A time without data is a gap in the line.

import { byId, make } from "./dom.js";
import { word } from "./words.js";

const CHARTS = [
  { title: "voltage", unit: "V", decimals: 2,
    lines: ["pack_voltage_v", "charge_voltage_limit_v"] },
  { title: "current", unit: "A", decimals: 1,
    lines: ["pack_current_a", "charge_current_limit_a"] },
  { title: "soc", unit: "%", decimals: 1, lines: ["soc_pct"] },
  { title: "cells", unit: "V", decimals: 3, lines: ["min_cell_voltage_v", "max_cell_voltage_v"] },
  { title: "temperature", unit: "°C", decimals: 1, lines: ["battery_temperature_c"] },
];
const COLOURS = ["--bar", "--bar-low"];
let plots = [];
let last = null;

export async function loadCharts() {
  const to = Math.ceil(Date.now() / 1000);
  const from = to - Number(byId("span").value);
  let history = null;
  try {
    const answer = await fetch(`api/history?from=${from}`, { cache: "no-store" });
    history = await answer.json();
    if (!answer.ok) throw new Error(history.error);
  } catch (error) {
    byId("chart-note").textContent = `${word("no_history")}: ${error.message}`;
    return;
  }
  last = { history, from, to };
  drawCharts();
}

export function drawCharts() {
  if (!last) return;
  const { history, from, to } = last;
  byId("chart-note").textContent = history.rows.length ? "" : word("history_empty");
  for (const plot of plots) plot.destroy();
  plots = [];
  const rows = withGaps(history.rows, history.step_s);
  const holders = CHARTS.map((chart) => {
    const holder = make("div", "");
    holder.setAttribute("role", "img");
    holder.setAttribute("aria-label", `${word(`chart.${chart.title}`)} (${chart.unit})`);
    return holder;
  });
  byId("chart-list").replaceChildren(...holders);
  plots = CHARTS.map((chart, index) =>
    draw(holders[index], chart, history.columns, rows, from, to));
}

function draw(holder, chart, columns, rows, from, to) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line") },
    ticks: { stroke: colour("--line") } };
  const show = (_plot, value) => (value === null || value === undefined ? "–"
    : `${value.toFixed(chart.decimals)} ${chart.unit}`);
  const data = [0, ...chart.lines.map((name) => columns.indexOf(name))]
    .map((index) => rows.map((row) => row[index]));
  const options = {
    title: `${word(`chart.${chart.title}`)} (${chart.unit})`,
    width: Math.max(200, holder.clientWidth), height: 180,
    scales: { x: { time: true, range: [from, to] } },
    axes: [axis, { ...axis, size: 60 }],
    series: [{ label: word("time") }, ...chart.lines.map((name, index) => ({
      label: word(`line.${name}`), stroke: colour(COLOURS[index]), width: 1.5,
      dash: name.includes("limit") ? [6, 4] : undefined, value: show, spanGaps: false,
    }))],
  };
  return new window.uPlot(options, data, holder);
}

function withGaps(rows, step) {
  const filled = [];
  for (const row of rows) {
    const before = filled[filled.length - 1];
    // Two missing points are a gap; one may be a second that began late.
    if (before && row[0] - before[0] > 3 * step) filled.push([before[0] + step, ...row.slice(1).map(() => null)]);
    filled.push(row);
  }
  return filled;
}
