"use strict";
(() => {
  const box = document.getElementById("search");
  const said = document.getElementById("found");
  if (!box || !said) return;
  const rows = Array.from(document.querySelectorAll("#failed-rows tbody tr"));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const look = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
      if (!row.hidden) shown += 1;
    });
    said.textContent = words.length ? `${shown} of ${rows.length} rows shown` : "";
  };
  box.addEventListener("input", look);
  document.getElementById("search-form").hidden = false;
  look();
})();
