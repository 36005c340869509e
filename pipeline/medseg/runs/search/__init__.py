"""A search for settings that do better than the plan, by whole short trainings that many workers may share."""
