"""What learns: one file for each kind of learner. Which of them an algorithm runs on, its settings say."""
