// Before the first paint: a chosen theme is set at once, so that the page never flashes in the other one.
try {
  const prefs = JSON.parse(localStorage.getItem("hypocenter.prefs") || "{}");
  if (prefs.theme === "dark" || prefs.theme === "light") document.documentElement.dataset.theme = prefs.theme;
} catch {
  // No storage, or nonsense in it: the system's own preference decides.
}
