"""The report of a run: tables (no Plotly), figures (no results), and the page that holds them."""
