"""The audit's rules, a module for each practice: `find(project)` yields what is broken and what nobody can tell."""
