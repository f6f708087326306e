"""What people and scripts see of a pass: bars, lines, the summary and the log."""
