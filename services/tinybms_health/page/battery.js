// The battery: figures, alarms, limits and cells. What is too old is never shown as present.

import { byId, english, make, show } from "./dom.js";
import { duration, figure, hasWord, language, moment, word } from "./words.js";

const FIGURES = [
  ["soc", (s) => figure(s.soc_pct, 1, "%")],
  ["voltage", (s) => figure(s.pack_voltage_v, 2, "V")],
  ["current", (s) => figure(s.pack_current_a, 1, "A")],
  ["power", (s) => figure(s.power_w, 0, "W")],
  ["temperature", (s) => figure(s.battery_temperature_c, 1, "°C")],
  ["bms_state", (s) => word(`online.${s.online_status}`)],
  ["time_to_go", (s) => duration(s.time_to_go_s)],
  ["soh", (s) => figure(s.soh_pct, 1, "%")],
];

const LIMITS = [
  ["cvl", "charge_voltage_v", "V", "voltage"],
  ["ccl", "charge_current_a", "A", "charge"],
  ["dcl", "discharge_current_a", "A", "discharge"],
  ["dvl", "discharge_voltage_v", "V", null],
];

/** `live` null: nothing is known now. */
export function showBattery(live) {
  const sample = live?.sample ?? null;
  showFigures(sample);
  showAlarms(live);
  showLimits(live?.limits ?? null);
  showCells(sample);
}

function showFigures(sample) {
  const texts = FIGURES.map(([key, text]) => [word(`figure.${key}`), sample ? text(sample) : "–"]);
  show(byId("figures"), JSON.stringify(texts), () => texts.map(([label, text]) =>
    make("div", "", make("dt", "", label), make("dd", "", text))));
  for (const [index, [key]] of FIGURES.entries()) byId("figures").children[index].dataset.figure = key;
}

function showAlarms(live) {
  const fresh = live?.data.state === "fresh";
  const key = JSON.stringify([fresh, live?.alarms, live?.faults, live?.advisories,
    live?.modes?.map((mode) => mode.text)]);
  show(byId("alarm-list"), key, () => {
    if (!live) return [make("li", "", word("not_known"))];
    const items = [
      ...live.alarms.map(alarmItem),
      ...live.faults.map((fault) => make("li", fault.kind === "fault" ? "fault" : "warning",
        make("p", "", `${word("bms_reports")}: `, english(fault.text)),
        make("p", "quiet", fault.wall_ns ? `${word("since")} ${moment(fault.wall_ns / 1e6)}` : ""))),
      ...live.modes.map((mode) => make("li", "", make("p", "", `${word("mode")}: `, english(mode.text)))),
      ...live.advisories.map((text) => make("li", "", make("p", "", `${word("advice")}: `, english(text)))),
    ];
    const none = make("li", "ok", word(fresh ? "no_alarm" : "not_known"));
    return live.alarms.length || live.faults.length ? items : [none, ...items];
  });
}

function alarmItem(alarm) {
  return make("li", alarm.level > 1 ? "fault" : "warning",
    make("p", "", make("strong", "", `${word(alarm.level > 1 ? "alarm" : "warning")}: `
      + word(`alarm_name.${alarm.name}`))),
    make("p", "", english(alarm.text)),
    make("p", "", `${word("since")} ${moment(alarm.since)}`),
    make("p", "", `${word("what_to_do")}: ${word(`alarm_do.${alarm.name}`)}`));
}

function showLimits(limits) {
  const key = JSON.stringify(limits);
  show(byId("limit-list"), key, () => LIMITS.map(([name, field, unit, kind]) => {
    const caps = limits && kind ? limits[`${kind}_reasons`] : [];
    const value = limits ? figure(limits[field], 1, unit) : "–";
    const item = make("li", "", make("p", "", `${word(`limit.${name}`)} `,
      make("span", "limit-value", value)));
    item.dataset.limit = name;
    if (caps.length) item.append(make("p", "", ...why(limits, field, value, kind)));
    for (const reason of caps.slice(1, 3)) {
      item.append(make("p", "quiet", ...causes(reason), ` (${figure(reason.value, 1, unit)})`));
    }
    return item;
  }));
}

/** What binds a limit and where it changes next: in English the sentence of the gateway. */
function why(limits, field, value, kind) {
  const [binding] = limits[`${kind}_reasons`];
  const sentence = limits[`${kind}_sentence`];
  if (language === "en" && sentence) return [sentence];
  const begun = limits[field] > 0 ? word("limited_to", { value }) : word("stopped_by");
  const next = binding.next_step ? `; ${word("next_step", { at: binding.next_step })}` : "";
  return [`${begun} `, ...causes(binding), next];
}

/** English words hold the numbers; other languages have words for each code before them. */
function causes(reason) {
  const known = `reason.${reason.code}`;
  if (language === "en" || !hasWord(known)) return [english(reason.text)];
  return [`${word(known)} (`, english(reason.text), ")"];
}

function showCells(sample) {
  const cells = sample?.cell_voltages_v ?? [];
  const spread = cells.length ? sample.max_cell_voltage_v - sample.min_cell_voltage_v : 0;
  byId("cell-summary").textContent = cells.length ? word("cell_summary", {
    low: figure(sample.min_cell_voltage_v, 3, "V"), low_id: sample.min_cell_id,
    high: figure(sample.max_cell_voltage_v, 3, "V"), high_id: sample.max_cell_id,
    spread: figure(spread * 1000, 1, "mV"),
  }) : word("not_known");
  const from = cells.length ? sample.min_cell_voltage_v - Math.max(0.01, spread) : 0;
  const to = cells.length ? sample.max_cell_voltage_v + 0.005 : 1;
  byId("cell-scale").textContent = cells.length
    ? word("cell_scale", { from: figure(from, 3, "V"), to: figure(to, 3, "V") }) : "";
  const list = byId("cell-list");
  if (list.children.length !== cells.length) list.replaceChildren(...cells.map(cellItem));
  for (const [index, voltage] of cells.entries()) {
    const item = list.children[index];
    const number = index + 1;
    const marks = [
      number === sample.min_cell_id ? word("lowest") : "",
      number === sample.max_cell_id ? word("highest") : "",
      sample.cells_balancing[index] ? word("balancing") : "",
    ].filter(Boolean);
    item.classList.toggle("lowest", number === sample.min_cell_id);
    item.classList.toggle("highest", number === sample.max_cell_id);
    item.classList.toggle("balancing", Boolean(sample.cells_balancing[index]));
    item.querySelector(".bar").style.width = `${(100 * (voltage - from)) / (to - from)}%`;
    item.querySelector(".bar-text").textContent = [figure(voltage, 3, "V"), ...marks].join(" · ");
  }
}

function cellItem(_voltage, index) {
  return make("li", "", make("span", "", String(index + 1)),
    make("div", "track", make("div", "bar")), make("span", "bar-text"));
}
