"""The benchmark laboratory behind tests/bench/run: one module for each step, from the machine to the report.

machine (where), bodies (what is sent), servers (what is compared), load (who sends), account (what it cost), cases,
memory, growth and inside (what is measured), judge (medians, ratios, targets), charts and report (what is written).
"""
