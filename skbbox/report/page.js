"use strict";

// Without this script the page shows every picture, and the counts at one threshold; with it, what
// is asked for. Names of classes and files are on the page already, and are only moved about.
(() => {
  const STEP = 24;
  const get = (id) => document.getElementById(id);
  const numbers = JSON.parse(get("numbers").textContent);
  const cards = [...get("cards").children];

  // ---------------------------------------------------------------- the threshold

  const written = (count) => count.toLocaleString("en-US");
  const percent = (share) => (Math.floor(1000 * share + 0.5) / 10).toFixed(1) + " %";

  function count() {
    // Levels are thresholds in hundredths, so that no rounding comes between.
    const level = Math.round(100 * get("threshold-input").value);
    const threshold = (level / 100).toFixed(2);
    const total = numbers.level.length;
    const reached = numbers.level.map((reaches) => reaches >= level);
    const number = reached.filter(Boolean).length;

    let text = `${written(number)} of ${written(total)} images (${percent(number / total)}) have an IoU of at least ${threshold}`;
    if (numbers.right) {
      const right = reached.filter((isReached, row) => isReached && numbers.right[row]).length;
      text += `; ${written(right)} (${percent(right / total)}) have the right class, too`;
    }
    get("counts").textContent = text + ".";

    if (numbers.true) countClasses(reached);
    for (const element of document.querySelectorAll(".threshold-value")) {
      element.textContent = threshold;
    }
    for (const card of cards) {
      card.querySelector(".low").hidden = card.dataset.level >= level;
    }
  }

  function countClasses(reached) {
    const ofClass = new Map();
    numbers.true.forEach((code, row) => {
      const [number, total] = ofClass.get(code) ?? [0, 0];
      ofClass.set(code, [number + reached[row], total + 1]);
    });
    for (const cell of document.querySelectorAll("td[data-class]")) {
      const [number, total] = ofClass.get(Number(cell.dataset.class)) ?? [0, 0];
      cell.textContent = total ? percent(number / total) : "–";
    }
  }

  // ---------------------------------------------------------------- filters and order

  const ORDERS = {
    worst: (card) => Number(card.dataset.iou),
    best: (card) => -card.dataset.iou,
    random: (card) => Number(card.dataset.place),
    suspicious: (card) => -card.dataset.suspicion,
  };
  const FILTERS = { order: "worst", class: "", right: "", lowest: "0", highest: "1" };
  let matching = [];
  let limit = STEP;

  function filter() {
    const isWanted = (card, name) => ["", card.dataset[name]].includes(get(name).value);
    const lowest = get("lowest").value || 0;
    const highest = get("highest").value || 1;
    const key = ORDERS[get("order").value];
    matching = cards
      .filter((card) => isWanted(card, "class") && isWanted(card, "right"))
      .filter((card) => card.dataset.iou >= Number(lowest) && card.dataset.iou <= Number(highest))
      .sort((a, b) => key(a) - key(b));
    get("suspicious-means").hidden = get("order").value !== "suspicious";
    limit = STEP;
    show();
  }

  function show() {
    const shown = matching.slice(0, limit);
    get("cards").replaceChildren(...shown);
    get("more").hidden = shown.length === matching.length;
    get("shown").textContent =
      `Shown: ${written(shown.length)} of ${written(matching.length)} pictures that match.`;
  }

  function showMore() {
    const first = matching[limit];
    limit += STEP;
    show();
    first.firstElementChild.focus();
  }

  function reset() {
    for (const [id, value] of Object.entries(FILTERS)) get(id).value = value;
    filter();
  }

  // ---------------------------------------------------------------- the larger view

  const dialog = get("larger");
  let current = null;

  function enlarge(card) {
    current = card;
    const position = matching.indexOf(card);
    const picture = card.querySelector(".picture").cloneNode(true);
    const facts = card.querySelector("dl").cloneNode(true);
    facts.hidden = false;
    get("larger-picture").replaceChildren(picture);
    get("larger-facts").replaceChildren(facts);
    get("larger-title").textContent =
      `Row ${card.dataset.row} (${written(position + 1)} of ${written(matching.length)})`;
    if (!dialog.open) dialog.showModal();
  }

  function step(distance) {
    const position = matching.indexOf(current) + distance;
    enlarge(matching[(position + matching.length) % matching.length]);
  }

  function goBack() {
    // To the card that was looked at last, which may not have been shown yet.
    limit = Math.max(limit, matching.indexOf(current) + 1);
    show();
    current.firstElementChild.focus();
  }

  function leave() {
    dialog.close();
    // The browser tells of it later, after keys that may follow.
    goBack();
  }

  const KEYS = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Escape: leave,
  };

  // ---------------------------------------------------------------- what is done when

  get("threshold-input").addEventListener("input", count);
  for (const id of Object.keys(FILTERS)) get(id).addEventListener("input", filter);
  get("reset").addEventListener("click", reset);
  get("more").addEventListener("click", showMore);
  for (const card of cards) card.firstElementChild.addEventListener("click", () => enlarge(card));
  get("previous").addEventListener("click", () => step(-1));
  get("next").addEventListener("click", () => step(1));
  get("close").addEventListener("click", leave);
  dialog.addEventListener("close", goBack);
  dialog.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  get("slider").hidden = false;
  get("filters").hidden = cards.length === 0;
  count();
  filter();
})();
