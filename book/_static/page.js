// What the theme needs a script for, and has none: to mark in a page's
// contents the section that is being read, and to let the keyboard reach what
// scrolls sideways.
addEventListener("DOMContentLoaded", () => {
  const links = [...document.querySelectorAll(".bd-toc-nav a")];
  const top = link => document.getElementById(
    decodeURIComponent(link.hash.slice(1))).getBoundingClientRect().top;
  const mark = () => {
    const read = links.findLast(link => top(link) < 0.4 * innerHeight);
    for (const link of links) {
      const around = link.parentElement.contains(read ?? null);
      link.classList.toggle("active", around);
      link.parentElement.classList.toggle("active", around);
    }
  };
  addEventListener("scroll", mark, {passive: true});
  mark();

  const boxes = document.querySelectorAll(
    "pre, .katex-display, .pst-scrollable-table-container, figure");
  const reach = () => {
    for (const box of boxes)
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
  };
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  document.fonts.ready.then(reach);
});
