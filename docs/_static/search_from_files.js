// Summaries of search results are fetched from the pages, which browsers refuse where these are
// opened as files. The results themselves need no server.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
