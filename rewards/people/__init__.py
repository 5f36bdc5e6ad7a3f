"""People as judges: a study's database, who judges what, and the verdicts that were given.

A study is a folder with `study.yaml` and `study.sqlite`. Nothing here says which answer is right but the table
`answer`, which is read where feedback is due (`feedback`) and by evaluation.
"""
