-- A judging study. Times are seconds since 1970; sides and answers are those of the stored transcript.

CREATE TABLE condition (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL,
  checkpoint TEXT NOT NULL,
  matchup TEXT NOT NULL,
  protocol TEXT NOT NULL,
  UNIQUE (run, checkpoint, matchup, protocol)
) STRICT;

CREATE TABLE debate (
  id INTEGER PRIMARY KEY,                  -- in a random order
  shown TEXT NOT NULL,                     -- what is read: rewards.people.debates.id_of
  phase TEXT NOT NULL CHECK (phase IN ('training', 'qualification', 'main', 'gold')),
  condition INTEGER REFERENCES condition,
  question TEXT NOT NULL,
  story TEXT NOT NULL,
  transcript TEXT NOT NULL,
  wanted INTEGER NOT NULL                  -- verdicts, of different people
) STRICT;
CREATE INDEX debates_by_text ON debate (shown);

-- Apart from the debates, so that what serves a debate cannot serve its answer.
CREATE TABLE answer (
  debate INTEGER PRIMARY KEY REFERENCES debate ON DELETE CASCADE,
  correct TEXT NOT NULL CHECK (correct IN ('A', 'B'))
) STRICT;

-- What a model judge said of a debate that people are to check, apart for the same reason.
CREATE TABLE model_verdict (
  debate INTEGER NOT NULL REFERENCES debate ON DELETE CASCADE,
  judge TEXT NOT NULL,
  p REAL NOT NULL CHECK (p BETWEEN 0 AND 1),        -- of the answer of side A
  part TEXT CHECK (part IN ('random', 'disagreed')),  -- how the debate was chosen for people to check this verdict
  PRIMARY KEY (debate, judge)
) STRICT;

CREATE TABLE guidelines (
  version INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  since REAL NOT NULL
) STRICT;

-- What the researcher has set since: whether the study is paused, the hash of the password.
CREATE TABLE setting (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE judge (
  id TEXT PRIMARY KEY,                     -- a pseudonym
  number INTEGER NOT NULL UNIQUE,          -- in the order of joining
  state TEXT NOT NULL CHECK (
    state IN ('invited', 'training', 'qualification', 'main', 'survey', 'finished', 'stopped', 'left')
  ),
  reason TEXT NOT NULL DEFAULT '',         -- why stopped, as the judge is told
  tags TEXT NOT NULL DEFAULT '[]',         -- JSON: given with the invitation or by the judge
  profiled REAL,                           -- when the judge was asked about tags
  joined REAL,
  seen REAL
) STRICT;

-- The way in: only hashes are kept. A link is used up by consent.
CREATE TABLE link (
  hash TEXT PRIMARY KEY,
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  used REAL,
  browser TEXT                             -- hash of what the browser is known by whose consent used it up
) STRICT;
CREATE TABLE session (
  hash TEXT PRIMARY KEY,
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  expires REAL NOT NULL
) STRICT;

-- Which guidelines a judge has read.
CREATE TABLE acknowledged (
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  version INTEGER NOT NULL REFERENCES guidelines,
  at REAL NOT NULL,
  PRIMARY KEY (judge, version)
) STRICT;

-- What a judge says at the end.
CREATE TABLE survey (
  judge TEXT PRIMARY KEY REFERENCES judge ON DELETE CASCADE,
  fields TEXT NOT NULL,                    -- JSON
  at REAL NOT NULL
) STRICT;

-- Who a judge is: what is removed when a person asks for it.
CREATE TABLE person (
  judge TEXT PRIMARY KEY REFERENCES judge ON DELETE CASCADE,
  name TEXT,
  contact TEXT,
  outside_id TEXT UNIQUE,                  -- of a recruiting site
  visit TEXT,                              -- its id of the visit, which its events name
  event REAL                               -- the time of the newest event that was dealt with
) STRICT;

CREATE TABLE place (
  id INTEGER PRIMARY KEY,
  token TEXT NOT NULL UNIQUE,              -- what the browser knows it by: random
  debate INTEGER NOT NULL REFERENCES debate,
  question TEXT NOT NULL,
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  number INTEGER NOT NULL,                 -- which of the verdicts wanted this is to be
  first TEXT NOT NULL CHECK (first IN ('A', 'B')),  -- whose answer is shown first
  guidelines INTEGER NOT NULL REFERENCES guidelines,
  state TEXT NOT NULL CHECK (state IN ('open', 'done', 'returned', 'late')),
  given REAL NOT NULL,
  expires REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX a_judge_meets_a_question_once ON place (judge, question);
CREATE UNIQUE INDEX a_judge_has_one_open_place ON place (judge) WHERE state = 'open';
CREATE UNIQUE INDEX a_place_is_taken_once ON place (debate, number) WHERE state IN ('open', 'done');

-- When a judge was first shown a round.
CREATE TABLE shown (
  place INTEGER NOT NULL REFERENCES place ON DELETE CASCADE,
  round INTEGER NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (place, round)
) STRICT;

CREATE TABLE step (
  place INTEGER NOT NULL REFERENCES place ON DELETE CASCADE,
  round INTEGER NOT NULL,
  p REAL NOT NULL CHECK (p BETWEEN 0 AND 1),        -- of the answer of side A
  active REAL,                             -- seconds; null without a script
  on_page REAL NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (place, round)
) STRICT;

CREATE TABLE verdict (
  place INTEGER PRIMARY KEY REFERENCES place ON DELETE CASCADE,
  key TEXT NOT NULL UNIQUE,                -- sent with the form: the same again is the same verdict
  p REAL NOT NULL CHECK (p BETWEEN 0 AND 1),        -- of the answer of side A
  explanation TEXT NOT NULL,
  active REAL,
  on_page REAL NOT NULL,
  at REAL NOT NULL,
  also TEXT NOT NULL DEFAULT '{}'          -- JSON: what other scales of the form were given
) STRICT;

CREATE TABLE draft (
  place INTEGER PRIMARY KEY REFERENCES place ON DELETE CASCADE,
  fields TEXT NOT NULL,                    -- JSON
  at REAL NOT NULL
) STRICT;

-- What researchers and judges write to each other, perhaps about a debate.
CREATE TABLE message (
  id INTEGER PRIMARY KEY,
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  sender TEXT NOT NULL CHECK (sender IN ('judge', 'researcher')),
  place INTEGER REFERENCES place ON DELETE SET NULL,
  text TEXT NOT NULL,
  at REAL NOT NULL,
  read REAL                                -- when the other side opened it
) STRICT;

-- What researchers note for themselves, about a judge or a debate.
CREATE TABLE note (
  id INTEGER PRIMARY KEY,
  judge TEXT REFERENCES judge ON DELETE CASCADE,
  debate INTEGER REFERENCES debate ON DELETE CASCADE,
  text TEXT NOT NULL,
  at REAL NOT NULL
) STRICT;

-- What a researcher decided about a debate on which judges part.
CREATE TABLE adjudication (
  debate INTEGER PRIMARY KEY REFERENCES debate ON DELETE CASCADE,
  p REAL NOT NULL CHECK (p BETWEEN 0 AND 1),        -- of the answer of side A
  explanation TEXT NOT NULL,
  at REAL NOT NULL
) STRICT;

-- Checks that a judge was put to: of the guidelines, of attention on a page, of the time that a verdict took.
CREATE TABLE checked (
  id INTEGER PRIMARY KEY,
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('comprehension', 'attention', 'time', 'gold')),
  place INTEGER REFERENCES place ON DELETE CASCADE,
  passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
  at REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX a_check_on_a_page_counts_once ON checked (judge, kind, place) WHERE place IS NOT NULL;

-- What a judge was warned of, as they are told.
CREATE TABLE warning (
  id INTEGER PRIMARY KEY,
  judge TEXT NOT NULL REFERENCES judge ON DELETE CASCADE,
  reason TEXT NOT NULL,
  at REAL NOT NULL,
  read REAL
) STRICT;

-- Events of a recruiting site that were dealt with: sent again, they change nothing.
CREATE TABLE webhook (
  event TEXT PRIMARY KEY,
  at REAL NOT NULL
) STRICT;

-- A debate that goes on while its judge reads: its own speeches so far, and what the judge asked before a round.
CREATE TABLE live (
  place INTEGER PRIMARY KEY REFERENCES place ON DELETE CASCADE,
  shown TEXT NOT NULL,                     -- what has been read so far: rewards.people.debates.id_of
  transcript TEXT NOT NULL
) STRICT;
CREATE TABLE inquiry (
  place INTEGER NOT NULL REFERENCES place ON DELETE CASCADE,
  round INTEGER NOT NULL,
  text TEXT NOT NULL,                      -- empty: the judge asked nothing
  at REAL NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting', 'playing', 'done', 'failed')),
  since REAL NOT NULL,                     -- playing: when the lease was renewed; done and failed: paid waiting ended
  tries INTEGER NOT NULL DEFAULT 0,        -- leases so far
  PRIMARY KEY (place, round)
) STRICT;

-- The same debates with tokens and private thoughts, which debaters go on from; no page reads it.
CREATE TABLE played (
  place INTEGER PRIMARY KEY REFERENCES place ON DELETE CASCADE,
  transcript TEXT NOT NULL
) STRICT;
