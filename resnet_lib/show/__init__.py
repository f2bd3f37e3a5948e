"""What the chapters show: tables, figures, and what a page's reader can explore."""
