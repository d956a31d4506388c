// Under each page that a search finds, what the page is about.
addEventListener("DOMContentLoaded", () => {
  const found = document.getElementById("search-results");
  new MutationObserver(() => {
    for (const link of found.querySelectorAll("li > a:only-child")) {
      const page = link.getAttribute("href").replace(/#.*/, "");
      const text = document.createElement("p");
      text.textContent = DESCRIPTIONS[page] ?? "";
      link.after(text);
    }
  }).observe(found, {childList: true, subtree: true});
});
