"""How one design is scored: tasks, recipes, training, records. Knows no cluster and no tracker."""
