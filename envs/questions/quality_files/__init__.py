"""QuALITY (Pang et al. 2022): long stories, multiple-choice questions, and what annotators made of them."""
