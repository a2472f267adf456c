"use strict";

// The page shows every picture, and the counts at one threshold, without this script. Names of
// classes and files are already in the page; the script only moves their elements.
(() => {
  const STEP = 24;
  const get = (id) => document.getElementById(id);
  const numbers = JSON.parse(get("numbers").textContent);
  const cards = [...get("cards").children];
  // Copies of some of the cards.
  const typical = [...(get("typical")?.children ?? [])];

  // ---------------------------------------------------------------- the threshold

  const format = (count) => count.toLocaleString("en-US");
  const formatPercent = (share) => (Math.floor(1000 * share + 0.5) / 10).toFixed(1) + " %";

  function count() {
    // Levels are thresholds in hundredths: integers, which compare exactly.
    const level = Math.round(100 * get("threshold-input").value);
    const threshold = (level / 100).toFixed(2);
    // A level of -1 is that of a row with a class only, which has no IoU.
    const hasIou = numbers.level.map((reaches) => reaches >= 0);
    const total = hasIou.filter(Boolean).length;
    const reached = numbers.level.map((reaches) => reaches >= level);
    const number = reached.filter(Boolean).length;

    if (total) get("counts").textContent = describeCounts(reached, hasIou, number, total, threshold);
    if (numbers.true) countClasses(reached, hasIou);
    for (const element of document.querySelectorAll(".threshold-value")) {
      element.textContent = threshold;
    }
    for (const card of [...cards, ...typical]) {
      const { level: reaches, outcome } = card.dataset;
      card.querySelector(".low").hidden = reaches < 0 || reaches >= level || Boolean(outcome);
    }
  }

  function describeCounts(reached, hasIou, number, total, threshold) {
    let text = `${format(number)} of ${format(total)} images (${formatPercent(number / total)}) have an IoU of at least ${threshold}`;
    // The class of a row is unknown, -1, where y has a box only.
    const known = hasIou.filter((has, row) => has && numbers.right?.[row] >= 0).length;
    if (known) {
      const right = reached.filter((isReached, row) => isReached && numbers.right[row] === 1).length;
      const of = known === total ? "" : `of the ${format(known)} whose class is known, `;
      text += `; ${of}${format(right)} (${formatPercent(right / known)}) also have the right class`;
    }
    return text + ".";
  }

  function countClasses(reached, hasIou) {
    const ofClass = new Map();
    numbers.true.forEach((classIndex, row) => {
      if (!hasIou[row]) return;
      const [number, total] = ofClass.get(classIndex) ?? [0, 0];
      ofClass.set(classIndex, [number + reached[row], total + 1]);
    });
    for (const cell of document.querySelectorAll("td[data-class]")) {
      const [number, total] = ofClass.get(Number(cell.dataset.class)) ?? [0, 0];
      cell.textContent = total ? formatPercent(number / total) : "–";
    }
  }

  // ---------------------------------------------------------------- filters and order

  // Without an IoU, a card comes last and only has a place in the complete range.
  const ORDERS = {
    worst: (card) => Number(card.dataset.iou ?? 2),
    best: (card) => -(card.dataset.iou ?? -2),
    random: (card) => Number(card.dataset.place),
    suspicious: (card) => -card.dataset.suspicion,
  };
  const FILTERS = { order: "worst", class: "", right: "", outcome: "", lowest: "0", highest: "1" };
  let matching = [];
  let limit = STEP;

  function filter() {
    const matches = (card, name) => ["", card.dataset[name]].includes(get(name).value);
    const lowest = get("lowest").value || 0;
    const highest = get("highest").value || 1;
    const key = ORDERS[get("order").value];
    matching = cards
      .filter((card) => ["class", "right", "outcome"].every((name) => matches(card, name)))
      .filter((card) => isWithin(card.dataset.iou, Number(lowest), Number(highest)))
      .sort((a, b) => key(a) - key(b));
    get("suspicious-means").hidden = get("order").value !== "suspicious";
    limit = STEP;
    show();
  }

  function isWithin(iou, lowest, highest) {
    return iou === undefined ? lowest <= 0 && highest >= 1 : iou >= lowest && iou <= highest;
  }

  function show() {
    const shown = matching.slice(0, limit);
    get("cards").replaceChildren(...shown);
    get("more").hidden = shown.length === matching.length;
    get("shown").textContent =
      `Showing ${format(shown.length)} of ${format(matching.length)} matching pictures.`;
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
  let opener = null;

  function enlarge(card) {
    current = card;
    const position = matching.indexOf(card);
    const picture = card.querySelector(".picture").cloneNode(true);
    const facts = card.querySelector("dl").cloneNode(true);
    facts.hidden = false;
    get("larger-picture").replaceChildren(picture);
    get("larger-facts").replaceChildren(facts);
    get("larger-title").textContent =
      `Row ${card.dataset.row} (${format(position + 1)} of ${format(matching.length)})`;
    if (!dialog.open) dialog.showModal();
  }

  function open(cardOrCopy) {
    const card = cards.find(({ dataset }) => dataset.row === cardOrCopy.dataset.row);
    if (!matching.includes(card)) reset();
    opener = cardOrCopy;
    enlarge(card);
  }

  function step(distance) {
    const position = matching.indexOf(current) + distance;
    enlarge(matching[(position + matching.length) % matching.length]);
  }

  function goBack() {
    if (opener?.dataset.row === current.dataset.row) {
      opener.firstElementChild.focus();
      return;
    }
    // Focus the card of the last picture; it may be beyond the cards shown so far.
    limit = Math.max(limit, matching.indexOf(current) + 1);
    show();
    current.firstElementChild.focus();
  }

  function leave() {
    dialog.close();
    // The close event comes later, perhaps after another key.
    goBack();
  }

  const KEYS = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Escape: leave,
  };

  // ---------------------------------------------------------------- events

  get("threshold-input").addEventListener("input", count);
  for (const id of Object.keys(FILTERS)) get(id).addEventListener("input", filter);
  get("reset").addEventListener("click", reset);
  get("more").addEventListener("click", showMore);
  for (const card of [...cards, ...typical]) {
    card.firstElementChild.addEventListener("click", () => open(card));
  }
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
