// The page: one event stream from the gateway, and a watch on how old everything is.

import { showBattery } from "./battery.js";
import { drawCharts, loadCharts } from "./charts.js";
import { byId } from "./dom.js";
import { addEvents, showEvents, showGateway } from "./gateway.js";
import { duration, moment, preferredLanguage, setLanguage, store, stored, word } from "./words.js";

// The gateway speaks at least once a second: this long without a word, and nothing is known.
const SILENT_AFTER_MS = 3000;
const STATUS_OLD_AFTER_MS = 8000;
const RECONNECT_MS = 3000;
const DARK = matchMedia("(prefers-color-scheme: dark)");

let live = null;
let status = null;
let liveAt = -Infinity;
let statusAt = -Infinity;
let lastHeard = null;
let source = null;
let chartsAt = -Infinity;

function connect() {
  source?.close();
  source = new EventSource("api/stream");
  source.addEventListener("live", (message) => {
    live = JSON.parse(message.data);
    liveAt = performance.now();
    lastHeard = live.time;
    render();
  });
  source.addEventListener("status", (message) => {
    status = JSON.parse(message.data);
    statusAt = performance.now();
    render();
  });
  source.addEventListener("event", (message) => addEvents([JSON.parse(message.data)]));
  source.addEventListener("open", loadEvents);
  source.addEventListener("error", () => {
    // A refused connection is given up by the browser; a broken one it opens again itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
  });
}

async function loadEvents() {
  try {
    const answer = await fetch("api/events?limit=200", { cache: "no-store" });
    if (answer.ok) addEvents((await answer.json()).events);
  } catch { /* comes with the next connection */ }
}

function render() {
  const now = performance.now();
  const heard = now - liveAt < SILENT_AFTER_MS;
  const known = heard ? live : null;
  showBattery(known);
  showGateway(heard && now - statusAt < STATUS_OLD_AFTER_MS ? status : null);
  showEvents();
  byId("clock").textContent = known ? moment(known.time) : "";
  showBanner(known);
}

function showBanner(known) {
  const banner = byId("banner");
  const state = known ? known.data.state : "unheard";
  document.body.classList.toggle("old", state !== "fresh");
  document.body.dataset.state = state;
  banner.hidden = state === "fresh";
  if (state === "fresh") {
    banner.textContent = "";
    return;
  }
  const since = lastHeard ? moment(lastHeard) : "–";
  const text = word(`banner.${state}`, { age: duration(known?.data.age_s), since });
  banner.className = state === "stale" || state === "asleep" ? "warning" : "fault";
  if (banner.textContent !== text) banner.textContent = text;
}

function applyTheme() {
  const wanted = byId("theme").value;
  const dark = wanted === "dark" || (wanted === "auto" && DARK.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  drawCharts();
}

async function changeLanguage(name) {
  await setLanguage(name);
  render();
  drawCharts();
}

async function start() {
  byId("theme").value = stored("theme") ?? "auto";
  applyTheme();
  DARK.addEventListener("change", applyTheme);
  byId("theme").addEventListener("change", () => { store("theme", byId("theme").value); applyTheme(); });
  byId("language").value = preferredLanguage();
  await changeLanguage(byId("language").value);
  byId("language").addEventListener("change", () => {
    store("language", byId("language").value);
    changeLanguage(byId("language").value);
  });
  byId("span").addEventListener("change", refreshCharts);
  addEventListener("resize", drawCharts);
  connect();
  refreshCharts();
  setInterval(() => {
    render();
    const each = byId("span").value === "3600" ? 10_000 : 60_000;
    if (!document.hidden && performance.now() - chartsAt > each) refreshCharts();
  }, 1000);
}

function refreshCharts() {
  chartsAt = performance.now();
  loadCharts();
}

start();
