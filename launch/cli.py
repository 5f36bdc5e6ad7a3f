"""The command `rostrum`: reads the command line, hands it to the subcommand, and tells errors in one sentence.

Nothing heavy is imported here, so that help is there at once.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from rostrum.launch import environment, figures, groups
from rostrum.launch.errors import STOPPED, USER_ERROR, Stopped, nearest, sentence, tell


class Command(NamedTuple):
    """A subcommand: what it is called, where it is implemented as "module:function", and its help."""

    name: str
    target: str
    summary: str
    details: str
    example: str
    words: str = "KEY=VALUE"
    """What follows the command, as the usage line names it."""


COMMANDS = (
    Command(
        "train",
        "rostrum.launch.commands.train:train",
        "train debaters to win a judge's approval",
        "Composes the configuration from configs/ and the overrides, checks it and everything it names, then trains. "
        "resume=RUN goes on with a run that was cut off, from its newest checkpoint and with its own configuration; "
        "only cluster settings, and what a judge's endpoint may cost, may be given anew. dry_run=true only says what "
        "endpoints would be asked and what that would cost.",
        "rostrum train protocol=consultancy algorithm=dpo judge.order=both output=runs/first\n"
        "  rostrum train resume=runs/first\n"
        "  rostrum train cluster=zero2 cluster.learners=2\n"
        "  rostrum train opponent=league opponent.self_play=0.5",
    ),
    Command(
        "warmstart",
        "rostrum.launch.commands.warmstart:warmstart",
        "teach the debater to quote, by its own speeches, before it is trained",
        "In rounds: the debater writes speeches for both answers of each question, with example speeches in its prompt "
        "and the best of several samples; those that keep the word limit and quote the passage truthfully are learned "
        "with the ordinary prompt; and it is measured on held-out stories. Neither gold labels nor a judge have a part "
        "in it. Writes rounds.csv and model/, from which a training starts, into output= (runs/warmstart if left out). "
        "What is finished is not done again: start it once more after an interruption.",
        "rostrum warmstart experiment=smollm questions.path=FILE output=runs/warm\n"
        "  rostrum train experiment=smollm questions.path=FILE debater.model=runs/warm/model output=runs/warmed",
    ),
    Command(
        "evaluate",
        "rostrum.launch.commands.evaluate:evaluate",
        "measure whether training made the judge right more often",
        "Lets the checkpoints of a finished run argue the same held-out questions, asks every judge, and writes "
        "verdicts.parquet, summary.json and report.html into the run folder. The groups evaluation, heldout_judges, "
        "decoding and cluster and the key questions.heldout may differ from training, and questions.seed=N tests on "
        "fresh questions where the set makes them (testimony): decoding=best_of samples each "
        "speech several times and speaks the one that the reward judge likes best. dry_run=true only says what "
        "endpoints would be asked and what that would cost.",
        "rostrum evaluate run=runs/first evaluation=all questions.heldout=200\n"
        "  rostrum evaluate run=runs/first decoding=best_of decoding.candidates=8",
    ),
    Command(
        "report",
        "rostrum.launch.commands.report:report",
        "write the report again from stored verdicts",
        "Reads the verdicts of an evaluated run or experiment, and writes summary.json, report.html, a page for each "
        "arm (pages/) and every figure as SVG and CSV (figures/). Those pages show a tournament in the run's folder. "
        "people.study=STUDY puts people's verdicts on these debates beside the model judges'.",
        "rostrum report run=runs/first\n  rostrum report run=runs/first people.study=studies/first",
    ),
    Command(
        "audit",
        "rostrum.launch.commands.audit:audit",
        "measure whether a judge can be trusted before training against it",
        "Lets the configured judge and the held-out ones read the same labelled debates, and writes audit.json, "
        "audit.html, debates.jsonl and verdicts.jsonl into output= (runs/audit, if left out): position, ties, length, "
        "verification tags, calibration, agreement with human ratings, cost, and PASS or FAIL for each of "
        "audit.thresholds. audit.debates=FILE reads stored debates instead of playing new ones. Verdicts that are "
        "there are not asked for again: start it once more after an interruption. dry_run=true only says what "
        "endpoints would still be asked and what that would cost.",
        "rostrum audit judge=testimony output=runs/audit\n"
        "  rostrum audit judge=chat judge.model=FOLDER audit.debates=runs/audit/debates.jsonl output=runs/audit-chat\n"
        "  rostrum audit audit.ratings=ratings.jsonl audit.thresholds.ece=0.05",
    ),
    Command(
        "debate",
        "rostrum.launch.commands.debate:debate",
        "watch one debate between two checkpoints in the terminal",
        "Plays one held-out question: side A is argued by a=, side B by b=. Each is a run folder (its last policy), a "
        "policy folder of a run, a model folder or embedded/NAME; the base debater if left out. Shows every speech "
        "with its quotes checked, and the judge's probability after it. question=N takes the N-th held-out question.",
        "rostrum debate a=runs/first b=embedded/debater question=3\n"
        "  rostrum debate a=runs/first/policies/iteration-0004 b=runs/first seed=7",
    ),
    Command(
        "demo",
        "rostrum.launch.commands.demo:demo",
        "run the whole experiment: train and evaluate several arms, one report",
        "Trains and evaluates every arm of configs/experiment/demo.yaml on the same held-out questions, side by side, "
        "and writes one report. What is finished is not done again: start it once more after an interruption.",
        "rostrum demo\n  rostrum demo output=runs/small iterations=4 questions.heldout=100",
    ),
    Command(
        "plan",
        "rostrum.launch.commands.plan:plan",
        "declare an experiment before it is run, with what it will be able to show",
        "Writes protocol.lock into the experiment's folder: questions by hash, judges and debater by the hash of their "
        "weights, arms, training seeds, iterations, the primary comparison (plan.arm, plan.judge), what INVALID counts "
        "for (plan.invalid), and a table of the smallest changes that can be shown. `rostrum demo` then runs nothing "
        "else in that folder, and the report says whether what was run is what was planned. A lock is never rewritten: "
        "amend=REASON adds what is changed and why, with the date.",
        "rostrum plan output=runs/demo plan.arm=debate plan.judge=heldout-judge\n"
        "  rostrum plan output=runs/demo iterations=8 amend='too slow'",
    ),
    Command(
        "verify",
        "rostrum.launch.commands.verify:verify",
        "check that nothing was changed and that figures follow from verdicts",
        "Compares every file of a run, experiment, tournament, comparison or audit with its hash; works the summary of "
        "a run out again from its verdicts; compares configuration, plan, questions, judges and debater with what the "
        "manifest records. root=HASH is the root hash that was printed at the end: kept elsewhere, it also tells "
        "whether somebody computed the hashes anew. Exit code 0 if all match, 1 if one does not; a line for each.",
        "rostrum verify run=runs/demo\n  rostrum verify run=runs/demo root=HASH",
    ),
    Command(
        "ablate",
        "rostrum.launch.commands.ablate:ablate",
        "train and evaluate the cross product of settings, one table of all cells",
        "Every combination of the values that are listed with commas is a cell: a run that is trained and evaluated in "
        "output=FOLDER/cells/NAME, side by side as Ray has room (ablation.cpus and ablation.gpus for each cell, "
        "ablation.at_once cells at the most; cluster.address joins a cluster). Writes a page, ablation.json, cells.csv "
        "and cells.parquet, each cell compared with the first one on the same questions. A cell that fails does not "
        "stop the others. What is finished is not done again: start it once more after an interruption.",
        "rostrum ablate experiment=demo protocol=debate,consultancy algorithm=ppo,dpo seed=1,2,3 output=runs/ablation",
        words="KEY=VALUE,VALUE",
    ),
    Command(
        "study",
        "rostrum.launch.commands.study:study",
        "plan, several seeds of several protocols, tournaments, one report: all at once",
        "Declares configs/experiment/study.yaml as `rostrum plan` does, trains and evaluates its arms side by side as "
        "Ray has room (as `rostrum ablate` does), lets the checkpoints of each protocol meet in a tournament, and "
        "writes study.html: the answer for each protocol over its seeds, judge accuracy against rating, and every run "
        "beside the others. What is finished is not done again: start it once more after an interruption.",
        "rostrum study\n  rostrum study output=runs/small iterations=4 save_every=2 questions.heldout=100",
    ),
    Command(
        "tournament",
        "rostrum.launch.commands.tournament:tournament",
        "rate checkpoints against each other, and judges against ratings",
        "All checkpoints of the named runs (or of an experiment's arms) and the base debater argue the same held-out "
        "questions, everybody against everybody, or in swiss=N rounds against neighbours in the standings. Runs of "
        "different protocols are groups of one tournament; consultants are rated by the judge's approval. Writes "
        "Bradley-Terry ratings on Elo's scale, what arguing the right answer is worth to each player, who wins against "
        "whom, and the slope of judge accuracy on rating. What has been played is not played again.",
        "rostrum tournament runs=runs/first,runs/second output=runs/tournament questions.heldout=200\n"
        "  rostrum tournament runs=runs/demo output=runs/tournament    # its debates and its consultancy, side by side",
    ),
    Command(
        "compare",
        "rostrum.launch.commands.compare:compare",
        "compare protocols and controls on the same questions at equal budget",
        "Lets a run's final checkpoint (or that of iteration=N) and the base debater argue the same held-out questions "
        "in every arm; without run=, the base debater alone. Arms are named lists of overrides in configs/comparison/, "
        "or given as comparison.arms.NAME=[OVERRIDE,...]; arms=NAME,NAME chooses some, and all are compared with the "
        "first. Writes accuracies, paired differences and what each verdict took. What has been played is not played "
        "again. dry_run=true only says what endpoints would still be asked and what that would cost.",
        "rostrum compare run=runs/first output=runs/comparison questions.heldout=200\n"
        "  rostrum compare run=runs/first iteration=4 arms=debate,consultancy output=runs/comparison\n"
        "  rostrum compare arms=debate,cool 'comparison.arms.cool=[protocol=debate,debater.temperature=0.5]' "
        "output=runs/cool",
    ),
    Command(
        "questions",
        "rostrum.launch.commands.questions:questions",
        "look at a question set before training on it",
        "show prints the first questions (n=5) as JSON Lines: id, question, the two answers and the right one, as they "
        "are understood and after all filters. audit prints one JSON object: how many stories and questions each split "
        "has, what the filters left out and what they could not tell, what the splits have in common, and how often "
        "the right answer can be told without the passage. It needs the gold labels.",
        "rostrum questions show questions=arc questions.path=arc.parquet n=5\n"
        "  rostrum questions audit questions=quality questions.path=QuALITY.v1.0.1.htmlstripped.dev",
        words="show|audit KEY=VALUE",
    ),
    Command(
        "judge",
        "rostrum.launch.commands.judge:judge",
        "calibrate or train a judge on labelled debates, or in rounds with debaters",
        "calibrate fits a judge's temperature and position bias, and writes the calibrated judge as a YAML. "
        "train fine-tunes the model of the configured judge on labelled debates (debates=FILE, or played by the base "
        "debater on the training split), stops early on held-out stories, fits a temperature, and writes a model "
        "folder to use as judge.model=DIR. adversarial trains debaters against the judge, retrains the judge on their "
        "debates, does so again (rounds=N), and writes a grid of every judge against every round's debaters; what is "
        "finished is not done again.",
        "rostrum judge calibrate judge=testimony output=judges/calibrated.yaml\n"
        "  rostrum judge train judge=testimony debates=debates.jsonl output=judges/mine\n"
        "  rostrum judge train judge=chat judge.model=FOLDER judge_training=chat debates=FILE output=judges/mine\n"
        "  rostrum judge adversarial rounds=2 output=runs/adversarial",
        words="calibrate|train|adversarial KEY=VALUE",
    ),
    Command(
        "labels",
        "rostrum.launch.commands.labels:labels",
        "find what labels a judge is best taught with under a budget",
        "Teaches the reward judge of an evaluated run from labels of two sources, many cheap ones, few dear ones, or "
        "both (sources=CHEAPER,DEARER of configs/label_source/), for every budget in dollars and every share of it "
        "that is spent on the dearer ones, with several seeds, and tests each on held-out debates of the run's base "
        "debater and of its last checkpoint, who was trained against that judge. Writes labels.html, labels.json and "
        "tables into output=: the best share of each budget with its interval, and where the next dollar should go. "
        "Judges are taught side by side as Ray has room (ablation.cpus, ablation.gpus, ablation.at_once; "
        "cluster.address). What is finished is not done again: start it once more after an interruption.",
        "rostrum labels run=runs/demo/arms/debate-unconstrained output=runs/labels\n"
        "  rostrum labels run=RUN budgets=16,64 sources=weak,people labels.dear.study=studies/teach output=runs/people",
    ),
    Command(
        "people",
        "rostrum.launch.commands.people:people",
        "let people judge debates of evaluated runs, in the browser",
        "new makes a study from evaluated runs: which debates, how many verdicts on each, and what that will cost "
        "(people.*); with queue=true an empty one, which a cascade fills. invite adds judges and prints a link for "
        "each, once. serve shows the judges' pages, on this "
        "machine alone unless host= says otherwise (https=true behind a server that speaks https), and the "
        "researcher's on researcher_port=, for which password sets the password. play has the "
        "debaters of a live study (people.live) answer what judges ask, until stopped. rehearse lets "
        "scripted judges work through a copy of the study, over the real pages, and prints what came out. results "
        "prints what came out of a study so far, and whether it is as it was declared. import makes "
        "a study of published human debates (format=khan|nyu file=FILE.jsonl). pause and "
        "resume stop and start the giving out of debates; guidelines puts a new version in force (file=FILE.md); "
        "message writes to a judge, or to all (judge=ID|all). export writes tables without names (output=FOLDER); "
        "delete removes a person (judge=ID keep=verdicts|nothing).",
        "rostrum people new output=studies/first runs=runs/first people.questions=24\n"
        "  rostrum people rehearse studies/first\n"
        "  rostrum people invite studies/first judges=8 address=https://judging.example.org\n"
        "  rostrum people password studies/first\n"
        "  rostrum people serve studies/first port=8000 researcher_port=8001",
        words="new|invite|serve|play|rehearse|results|import|password|pause|resume|guidelines|message|export|"
        "delete STUDY KEY=VALUE",
    ),
    Command(
        "runs",
        "rostrum.launch.commands.runs:runs",
        "list runs, how far each is, and what came out",
        "Looks through a folder (runs, if none is named) and prints a line for each run, experiment, comparison, "
        "tournament, ablation and audit in it, with its state and its headline.",
        "rostrum runs\n  rostrum runs runs/study --json",
        words="FOLDER",
    ),
    Command(
        "config",
        "rostrum.launch.commands.config:config",
        "show the whole configuration that a command line composes, or rewrite a file of an earlier version",
        "show prints every key with its value and where that comes from: the command line, a file, a choice of "
        "configs/, or the default. run=RUN begins with the configuration of a run. migrate rewrites a YAML file of an "
        "earlier version with the names of today, says what it changed, and keeps order and comments: into the file "
        "that --output names, in its place with --in-place, or to standard output.",
        "rostrum config show experiment=demo judge=panel algorithm.kl=0.1\n  rostrum config show run=runs/first\n"
        "  rostrum config migrate FILE.yaml --in-place",
        words="show|migrate KEY=VALUE|FILE",
    ),
    Command(
        "export",
        "rostrum.launch.commands.export:export",
        "write a trained policy as a plain Hugging Face folder",
        "Writes the last policy of a run, or that of iteration=N, with its tokenizer and a model card. A LoRA adapter "
        "is merged into its base model. The folder loads with AutoModelForCausalLM, and as debater.model=FOLDER.",
        "rostrum export run=runs/first output=models/first iteration=12",
    ),
    Command(
        "export-logs",
        "rostrum.launch.commands.export_logs:export_logs",
        "write evaluated debates as logs that inspect_ai opens",
        "Writes one .eval log for each arm, checkpoint and matchup of an evaluated run or experiment: a sample is a "
        "debate, its messages are the speeches, its scores the judges' verdicts. `inspect view --log-dir FOLDER` shows "
        "them; inspect_ai is not needed to write them.",
        "rostrum export-logs run=runs/first output=logs/first",
    ),
    Command(
        "build-models",
        "rostrum.launch.commands.build_models:build_models",
        "rebuild the embedded models from a seed",
        "Teaches the base debater and the two weak judges of the testimony world from nothing, and writes them with "
        "their cards to output= (the place they are shipped in, if left out). Takes tens of minutes.",
        "rostrum build-models output=runs/models seed=0",
    ),
)


Implementation = Callable[[Sequence[str]], int]
"""What carries out a subcommand: it takes the overrides and returns the exit code."""


def implemented(target: str) -> Implementation:
    """Import what carries out a subcommand, from "module:function"."""
    module, _, function = target.partition(":")
    implementation: Implementation = getattr(import_module(module), function)
    return implementation


def main(arguments: Sequence[str] | None = None, find: Callable[[str], Implementation] = implemented) -> int:
    """Run a subcommand, which `find` gives by its target.

    Return 0; 2 for an error of the user's; 130 if interrupted; a child's code if one failed.
    """
    given = parser().parse_args(arguments)
    words = [*given.overrides, *_options(given)]
    with environment.borrowed():
        if not getattr(given, "json", False):
            return _run(find, given.target, words)
        with figures.collected() as found:
            code = _run(find, given.target, words)
        if found:
            print(figures.printed(found))
        return code


def _options(given: argparse.Namespace) -> list[str]:
    """Return the options of `config migrate` as the words that every command takes."""
    output = getattr(given, "output", None)
    return [*([] if output is None else [f"output={output}"]), *(["in_place=true"] * getattr(given, "in_place", False))]


def _run(find: Callable[[str], Implementation], target: str, overrides: Sequence[str]) -> int:
    """Carry out a subcommand and tell what stops it; return the exit code."""
    environment.prepare()
    try:
        return find(target)(overrides)
    except Stopped as stopped:
        tell(str(stopped))
        return STOPPED
    except KeyboardInterrupt:
        tell("stopped")
        return STOPPED
    except BrokenPipeError:  # whoever read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        message = sentence(error)
        if message is None:
            raise
        tell(message)
        return USER_ERROR


def parser() -> argparse.ArgumentParser:
    """Return the command line with the help of every subcommand."""
    top = _Parser(
        "rostrum",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Trains language-model debaters to win a judge's approval, and measures whether that made the "
        "judge right more often.",
        epilog="example:\n  rostrum demo\n\nrostrum COMMAND --help tells what a command does, with an example.",
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        epilog = f"example:\n  {command.example}"
        if command.name in ("train", "demo", "audit"):
            epilog += f"\n\n{_groups()}"
        sub = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.details,
            epilog=epilog,
            formatter_class=_Help,
        )
        sub.add_argument("overrides", nargs="*", metavar=command.words, help="overrides of the configuration (Hydra)")
        if command.name in figures.COMMANDS:
            sub.add_argument("--json", action="store_true", help="print what was found as one JSON object")
        if command.name == "config":
            sub.add_argument("--output", metavar="FILE", help="with migrate: the file to write")
            sub.add_argument("--in-place", action="store_true", help="with migrate: rewrite the file itself")
        sub.set_defaults(target=command.target)
    return top


class _Parser(argparse.ArgumentParser):
    """Names the nearest command where there is none of that name; a terminal shows what was given and obeys nothing."""

    def error(self, message: str) -> NoReturn:
        from rostrum.trainer.terminal import visible

        if "invalid choice" in message and (given := re.search(r"invalid choice: '([^']*)'", message)):
            meant = nearest(given[1], [command.name for command in COMMANDS])
            hint = f"did you mean {meant}?" if meant else "see rostrum --help."
            self.exit(USER_ERROR, visible(f"rostrum: There is no command {given[1]}: {hint}\n"))
        super().error(visible(message))


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wraps the description and leaves the lines of the epilog as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        wrap = argparse.HelpFormatter._fill_text
        return super()._fill_text(text, width, indent) if "\n" in text else wrap(self, text, width, indent)


def _groups() -> str:
    """Return the groups of configs/ and what each offers, installed packages' choices included."""
    names = groups.names()
    width = max(map(len, names), default=0)
    lines = [f"  {name:{width}}  {' '.join(groups.choices(name))}" for name in names]
    return "\n".join(["groups and their choices (GROUP=CHOICE, single keys as GROUP.KEY=VALUE, see configs/):", *lines])
