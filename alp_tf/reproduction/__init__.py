"""The papers' tables and figures: what they are made of, how they are measured, and how they are printed.

- exhibit, kannan, shafahi: every table and figure as data, with the figures that the papers print.
- budgets: the configuration of a model on a budget, and in what it differs from the paper's.
- parts, work, processes: which trainings and measurements an exhibit takes, and making those that are missing.
- measuring, estimate, intervals: one measurement; its time beforehand; means with intervals.
- results, markdown, drawing, page: JSON, tables with captions, figures, and docs/results.md.
"""
