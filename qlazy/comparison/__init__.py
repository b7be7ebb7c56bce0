"""Models by scales by seeds beside their linearisations: runs, verdict, figures, report."""
