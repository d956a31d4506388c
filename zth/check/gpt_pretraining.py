"""The checker of pretraining and finetuning (L7-EX3).

A mistake's docstring is what the reader reads. `clean` is judged on made-up
books, `shared` on short texts against every pair of windows, `choose` on
curves with different answers for different rules.
"""

import random
import re
import unicodedata

from zth.check import Check, message, show
from zth.classics import CHARS

__all__ = ["pretraining"]

# clean ----------------------------------------------------------------------

HEAD = ("The Project Gutenberg EBook of {title}, by A. Zeppelin\n\n"
        "This eBook is for the use of anyone anywhere.\n\n"
        "Title: {title}\n\nAuthor: A. Zeppelin\n\n"
        "*** START OF THIS PROJECT GUTENBERG EBOOK {upper} ***\n\n\n")
FOOT = ("\n\n\nEnd of {the}Project Gutenberg{s} {title}\n\n"
        "*** END OF THIS PROJECT GUTENBERG EBOOK {upper} ***\n\n"
        "Updated editions will quagmire the old ones.\n")
PLAIN = ("CHAPTER I\n\nIt was {0}; was it?  'Yes!' said {1} & {2},\n"
         "well-known to all: 3 times $3.\n\n   So sang {2},\n"
         "     and slept.\n\n\n\nThe end of {1}.\n\nFINIS")
ACCENTS = ("“É{0},” said Zoë to {1}: ‘déjà vu’, and \"naïve {2}\"\n"
           "sang; the façade fell.")
OTHERS = "On the 12th of May, {0} [{1}] wrote:\n_Never_ * (and {2}) / no more"
STARS = ("The coach of {0} went on.\n\n     *****\n\nAnd {1} walked.\n\n"
         "  *** THE DREAM ***\n\nThen {2} slept.")
NOTE = ("[Project Gutenberg Note: there are two endings.]\n\n"
        "My name being {0}, I called myself {1}.\n\nAnd {2} was his own.")


def file_of(body, title, ending="\r\n", the="the ", s=" EBook of"):
    names = {"title": title, "upper": title.upper(), "the": the, "s": s}
    book = HEAD.format(**names) + body + FOOT.format(**names)
    return book.replace("\n", ending)


def mapped(body):
    """Accents off and quotes straight, all else as it is."""
    for quote in "“”‘’\"":
        body = body.replace(quote, "'")
    return "".join(char for char in unicodedata.normalize("NFKD", body)
                   if not unicodedata.combining(char))


def accents_lost(body):
    """letters with an accent are lost: é is e, so take the accent off
    (unicodedata.normalize("NFKD", …) parts the two)."""
    for text in (body, re.sub("[“”‘’\"]", "'", body)):
        yield "".join(char for char in text if char in CHARS)


def quotes_lost(body):
    """quotes are lost: curly ones and double ones become '."""
    for quotes in ("[“”‘’\"]", "[“”‘’]", "\"", "[“”\"]"):
        yield mapped(re.sub(quotes, "", body))


def case_lost(body):
    """the letters' case is lost: capitals are among the 65 characters."""
    yield mapped(body).lower()
    yield mapped(body).upper()


def lines_joined(body):
    """the newlines are lost: they are among the 65 characters, and lines and
    speeches are parted by them."""
    for blank in (" ", ""):
        yield re.sub("\n", blank, mapped(body))
    yield " ".join(mapped(body).split())
    yield re.sub(r"(?<!\n)\n(?!\n)", " ", mapped(body))


def indents_lost(body):
    """the blanks at the ends of lines are lost: they indent verse, and are
    among the 65 characters."""
    for strip in (str.strip, str.lstrip):
        yield "\n".join(map(strip, mapped(body).split("\n")))


def blanks_lost(body):
    """several blanks in a row become one: they are among the 65
    characters."""
    yield re.sub(" +", " ", mapped(body))
    yield "\n".join(" ".join(line.split())
                    for line in mapped(body).split("\n"))


def blank_lines_lost(body):
    """blank lines are lost, which part paragraphs as they do speeches."""
    yield re.sub("\n+", "\n", mapped(body))
    yield re.sub("\n\n+", "\n\n", mapped(body))


def lines_doubled(body):
    """there are more newlines than lines: \\r\\n is one end of a line."""
    yield mapped(body).replace("\n", "\n\n")


def stopped_at_stars(body):
    """part of the book is missing: a row of stars inside it is no mark of an
    end. That is the line that begins with 'End of'."""
    pieces = re.split(r"\*\*\*+", body) if "***" in body else []
    yield from pieces
    yield from ("".join(pieces[:i]) for i in range(1, len(pieces)))
    yield from ("".join(pieces[i:]) for i in range(1, len(pieces)))


def stopped_at_words(body):
    """part of the book is missing: the words 'Project Gutenberg' inside it
    are no mark of an end. That is a line that begins with 'End of'."""
    if "Gutenberg" in body:
        yield from (body.split("Project Gutenberg")[0], "")
        yield body.split("\n", 1)[1]


def stopped_at_the_end_of(body):
    """part of the book is missing: 'end of' inside it is no mark of an end.
    That is a line that begins with 'End of the Project Gutenberg' or 'End of
    Project Gutenberg'."""
    for words in ("The end of", "end of"):
        if words in body:
            yield mapped(body).split(words)[0]


CLEAN_MISTAKES = [case_lost, lines_joined, blank_lines_lost, lines_doubled,
                  indents_lost, blanks_lost, accents_lost, quotes_lost,
                  stopped_at_stars, stopped_at_words, stopped_at_the_end_of]


def words(rng, count=3):
    return ["".join(rng.choices("abcdefghiklmnoprstuvwy", k=rng.randint(4, 8)))
            for _ in range(count)]


def letters(text):
    """Letters and newlines alone, which no replacement may touch."""
    return re.sub("[^A-Za-z\n]", "", text)


def check_clean(check, clean, rng):
    cases = [("a book of the 65 characters alone", PLAIN, {"ending": "\n"}),
             ("the same with CRLF", PLAIN, {}),
             ("a book with accents and quotes", ACCENTS, {}),
             ("a book with digits and brackets", OTHERS, {}),
             ("a book with rows of stars", STARS,
              {"the": "", "s": "'s"}),
             ("a book with an editor's note", NOTE, {})]
    for case, body, how in cases:
        *names, title = words(rng, 4)
        book = file_of(body.format(*names), title.title(), **how)
        got = check.call(clean, book, case=case)
        if not isinstance(got, str):
            check.fail("return the text, a str", input=case, got=show(got))
        check_ends(check, got, case)
        check_characters(check, got, case)
        exact = body in (PLAIN, ACCENTS)  # else what replaces is free
        name_it(check, got, body.format(*names), str if exact else letters,
                case)
        check.cases += 1


LEFT = {  # what may be left of a file, and what that says
    "zeppelin": "the header is still there: the book begins below the line "
                "'*** START OF …'",
    "start of": "the line '*** START OF …' is still there: the book begins "
                "below it",
    "quagmire": "the licence is still there: the book ends above the line "
                "'End of … Project Gutenberg …'",
    "project gutenberg e": "the line 'End of … Project Gutenberg …' is still "
                           "there: the book ends above it",
    "project gutenberg's": "the line 'End of Project Gutenberg's …' is still "
                           "there: it takes the place of 'End of the …'",
}


def check_ends(check, got, case):
    for mark, why in LEFT.items():
        place = got.lower().find(mark)
        if place >= 0:
            part = got[max(0, place - 15):place + 25]
            check.fail(why, input=case, got=f"… {part!r} …")


def check_characters(check, got, case):
    if "\r" in got:
        check.fail("a line of the file ends in \\r\\n: keep the \\n alone",
                   input=case, got="'\\r' in the text")
    outside = sorted(set(got) - set(CHARS))
    if outside:
        check.fail("these characters are not among tiny Shakespeare's 65: "
                   "map or drop them", input=case, got=show("".join(outside)))


def name_it(check, got, body, part_of, case):
    """Compare the texts, or what is not free of them."""
    want = part_of(mapped(body).strip())
    got = part_of(got.strip())
    if got == want:
        return
    why = next((message(mistake) for mistake in CLEAN_MISTAKES
                for wrong in mistake(body)
                if part_of(wrong.strip()) == got), None)
    place = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                 min(len(got), len(want)))
    near = slice(max(0, place - 10), place + 20)
    check.fail(why, input=case, expected=f"… {want[near]!r} …",
               got=f"… {got[near]!r} …")


# shared ---------------------------------------------------------------------


def places(text, other, n, every=1, of_other=1, stop=0, other_stop=0):
    """Where in text a window starts that is among those of other."""
    grams = {other[i:i + n]
             for i in range(0, len(other) - n + 1 - other_stop, of_other)}
    return {i for i in range(0, len(text) - n + 1 - stop, every)
            if text[i:i + n] in grams}


def cased(text, other, n):
    """upper and lower case count as different: compare both texts in lower
    case."""
    yield places(text, other, n)
    yield places(text.lower(), other, n)
    yield places(text, other.lower(), n)


def in_steps(text, other, n):
    """only every n-th window is compared, of one text or of both: a passage
    may start anywhere."""
    text, other = text.lower(), other.lower()
    for every, of_other in ((n, n), (n, 1), (1, n)):
        yield places(text, other, n, every, of_other)


def shorter(text, other, n):
    """the windows have n - 1 characters."""
    yield places(text.lower(), other.lower(), n - 1)


def longer(text, other, n):
    """the windows have n + 1 characters."""
    yield places(text.lower(), other.lower(), n + 1)


def last_missed(text, other, n):
    """the last window is missed: a text has len(text) - n + 1 windows."""
    text, other = text.lower(), other.lower()
    for stop, other_stop in ((1, 0), (0, 1), (1, 1)):
        yield places(text, other, n, stop=stop, other_stop=other_stop)


def within_lines(text, other, n):
    """lines are compared one by one: a passage may run over a line's end."""
    text, other = text.lower(), other.lower()
    pieces = {line[i:i + n] for line in other.split("\n")
              for i in range(len(line) - n + 1)}
    found, start = set(), 0
    for line in text.split("\n"):
        found |= {start + i for i in range(len(line) - n + 1)
                  if line[i:i + n] in pieces}
        start += len(line) + 1
    yield found


def whole_lines(text, other, n):
    """only whole lines are compared: a passage is part of a line."""
    text, other = text.lower(), other.lower()
    lines, found, start = set(other.split("\n")), set(), 0
    for line in text.split("\n"):
        if line in lines and len(line) >= n:
            found.add(start)
        start += len(line) + 1
    yield found


def same_place(text, other, n):
    """windows are compared with those at the same place only: each with
    all."""
    text, other = text.lower(), other.lower()
    yield {i for i in range(min(len(text), len(other)) - n + 1)
           if text[i:i + n] == other[i:i + n]}


def the_start(text, other, n):
    """only the beginning of a text is compared."""
    text, other = text.lower(), other.lower()
    yield places(text[:n], other, n)
    yield places(text, other[:n], n)
    yield places(text[:len(text) // 2], other, n)
    yield places(text, other[:len(other) // 2], n)


def other_way(text, other, n):
    """these are the places in `other`: return those in `text`."""
    yield places(other.lower(), text.lower(), n)


def first_ones(text, other, n):
    """an n-gram that `text` has twice is given once: return every place."""
    text, other = text.lower(), other.lower()
    found = places(text, other, n)
    yield {text.find(text[i:i + n]) for i in found}
    yield {text.rfind(text[i:i + n]) for i in found}


def anagrams(text, other, n):
    """n-grams with the same letters in another order count as equal: does
    your hash take the places into account, and do you compare the characters
    of those with equal hashes?"""
    def ordered(text):
        return ["".join(sorted(text[i:i + n]))
                for i in range(len(text) - n + 1)]

    grams = set(ordered(other.lower()))
    yield {i for i, gram in enumerate(ordered(text.lower())) if gram in grams}


def ends(text, other, n):
    """these are the places where the n-grams end: return those where they
    start."""
    found = places(text.lower(), other.lower(), n)
    yield {i + n for i in found}
    yield {i + n - 1 for i in found}


def from_one(text, other, n):
    """the places are counted from 1: text[0] is the first character."""
    yield {i + 1 for i in places(text.lower(), other.lower(), n)}


def of_passages(text, other, n):
    """only the first place of each passage is given: in one that is longer
    than n characters, several n-grams start."""
    found = places(text.lower(), other.lower(), n)
    yield found - {i + 1 for i in found}


def covered(text, other, n):
    """these are all the places that an n-gram covers: return those where one
    starts."""
    found = places(text.lower(), other.lower(), n)
    yield {i + k for i in found for k in range(n)}


def thirty(text, other, n):
    """nothing is ever found. Are n characters compared, whatever n is, and
    not always 30?"""
    yield places(text.lower(), other.lower(), 30)


SHARED_MISTAKES = [cased, last_missed, shorter, longer, in_steps,
                   within_lines, whole_lines, same_place, thirty, the_start,
                   first_ones, anagrams, ends, from_one, of_passages,
                   covered, other_way]


def texts(rng, n):
    """Two texts that share passages of several kinds, and a name."""
    def noise(letters, k=17):
        return "".join(rng.choices(letters, k=k))

    def fill(k=17):
        return noise("abcdef", k)

    def away(k=17):
        return noise("uvwxyz", k)

    one, two, three, four = (noise("ghijkl", n + 2) for _ in range(4))
    yield ("a passage in other capitals", fill() + one + fill(),
           away() + one.title() + away())
    yield ("a passage over a line's end",
           fill() + two[:3] + "\n" + two[3:] + "\n" + fill(),
           away() + two[:3] + "\n" + two[3:] + away())
    short = three[:n]
    yield "a passage of n characters at both ends", fill() + short, (
        away(20) + short)
    yield ("a passage twice", fill() + four + fill(9) + four + fill(),
           away() + four + away())
    mixed = noise("mnopqr", n - 1) + "s"
    yield ("the same letters in another order", fill() + mixed + fill(),
           away() + mixed[1:] + mixed[0] + away() + mixed[::-1])
    line = noise("ghijkl", n + 3)
    yield ("a whole line, and a part of another",
           fill() + "\n" + line + "\n" + one + fill(),
           away() + one + "\n" + line + "\n" + away())
    yield "nothing in common", fill(), away()
    yield "a text shorter than n", one[:n - 1], fill() + one
    yield "random letters", noise("abAB\n", 150), noise("abAB\n", 150)


def check_shared(check, shared, rng):
    """Every case is asked before a mistake is named that explains them all.
    """
    cases = [(f"{case}, n = {n}", text, other, n) for n in (5, 8)
             for case, text, other in texts(rng, n)]
    found = [as_places(check, check.call(shared, *inputs, case=case), case)
             for case, *inputs in cases]
    want = [places(text.lower(), other.lower(), n)
            for _, text, other, n in cases]
    if found != want:
        why = next((message(mistake) for mistake in SHARED_MISTAKES
                    for wrong in zip(*(mistake(*inputs)
                                       for _, *inputs in cases))
                    if list(wrong) == found), None)
        case, got, right = next(
            (case, *both) for (case, *_), *both in zip(cases, found, want)
            if both[0] != both[1])
        check.fail(why, input=case, expected=show(sorted(right)),
                   got=show(sorted(got)))
    check.cases += len(cases)


NO_PLACES = {  # what is not an index, and what to return
    str: "return where the n-grams start, not the n-grams",
    bool: "that is a mask: return the indices where it is True",
    (tuple, list): "return one index for each n-gram, where it starts, and "
                   "not where it ends"}


def as_places(check, value, case):
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        value = list(value)
        for kind, why in NO_PLACES.items():
            if any(isinstance(item, kind) for item in value):
                check.fail(why, input=case, got=show(value))
        return {int(item) for item in value}
    except TypeError:
        check.fail("return the places, as a list: how many there are does "
                   "not say what to cut", input=case, got=show(value))


# choose ---------------------------------------------------------------------


def the_last(curve):
    """the last checkpoint is taken: the point where the held-out loss is
    lowest may come before it."""
    return curve[-1][2]


def lowest_validation(curve):
    """the lowest validation loss is taken: then the validation text has
    chosen, and is no judge any more. Choose by the held-out loss."""
    return min(point[2] for point in curve)


def held_out(curve):
    """that is the held-out loss at the chosen point. It was chosen for being
    low; report the validation loss there."""
    return min(point[1] for point in curve)


def the_step(curve):
    """that is the step that was chosen: report the validation loss there."""
    return min(curve, key=lambda point: point[1])[0]


def the_first(curve):
    """the first checkpoint is taken."""
    return curve[0][2]


def highest(curve):
    """the point with the highest held-out loss is taken."""
    return max(curve, key=lambda point: point[1])[2]


RULES = [the_last, lowest_validation, held_out, the_step, the_first, highest]


CLOSE = 5e-4  # two losses that differ by less are one


def best(curve):
    return min(curve, key=lambda point: point[1])[2]


def curves_of(rng):
    """Three arms, in each of which every rule gives an answer of its own.

    Far enough apart for an answer in float32, or one that is rounded.
    """
    curves = {}
    for arm, low, count in (("finetuned", 1.5, 5), ("scratch", 1.6, 5),
                            ("scratch, longer", 1.55, 8)):
        while True:
            curve = [(100 * (i + 1), round(low - rng.random() / 8, 3),
                      round(low + rng.random() / 8, 3)) for i in range(count)]
            answers = sorted(rule(curve) for rule in (best, *RULES))
            held = sorted(point[1] for point in curve)
            if min(b - a for row in (answers, held)
                   for a, b in zip(row, row[1:])) > 2 * CLOSE:
                break
        curves[arm] = curve
    return curves


def check_choose(check, choose, rng):
    for _ in range(4):
        curves = curves_of(rng)
        case = "curves = " + "; ".join(
            f"{arm}: {len(curve)} points" for arm, curve in curves.items())
        got = check.call(choose, {arm: list(curve) for arm, curve
                                  in curves.items()}, case=case)
        if not hasattr(got, "keys") or set(got) != set(curves):
            check.fail("return a dict: for each arm the validation loss to "
                       "report", input=case, got=show(got))
        named = {}
        for arm, curve in curves.items():
            value = number(check, got[arm], arm)
            named[arm] = next((rule for rule in (best, *RULES)
                               if abs(rule(curve) - value) < CLOSE), None)
        wrong = [arm for arm in curves if named[arm] is not best]
        if wrong:
            lines = {"input": case, "expected": f"{wrong[0]}: "
                     f"{best(curves[wrong[0]]):.4f}",
                     "got": f"{wrong[0]}: "
                     f"{number(check, got[wrong[0]], wrong[0]):.4f}"}
            if len(set(named.values())) > 1:
                check.fail("the arms are not treated alike: " + "; ".join(
                    f"{arm}, {WORDS.get(rule, 'unknown')}"
                    for arm, rule in named.items())
                    + ". Use one rule for all", **lines)
            rule = named[wrong[0]]
            check.fail(message(rule) if rule else None, **lines)
        check.cases += 1


WORDS = {best: "lowest held-out loss", the_last: "last checkpoint",
         lowest_validation: "lowest validation loss",
         held_out: "the held-out loss itself", the_step: "a step",
         the_first: "first checkpoint", highest: "highest held-out loss"}


def number(check, value, arm):
    try:
        return float(value)
    except (TypeError, ValueError):
        check.fail("report one number for each arm", input=arm,
                   got=show(value))


PARTS = {"clean": check_clean, "shared": check_shared, "choose": check_choose}


def pretraining(**answers):
    """Check the parts of a comparison by their names, exercise L7-EX3.

    clean(book) -> str, of a file of Project Gutenberg; shared(text, other, n)
    -> the places in text, any sequence or set of ints; choose(curves) ->
    {arm: validation loss to report}, of {arm: [(step, held-out loss,
    validation loss), ...]}.
    """
    check = Check("pretraining")
    rng = random.Random(check.seed)
    unknown = [name for name in answers if name not in PARTS]
    if unknown or not answers:
        check.fail("name what you hand over: check.pretraining(clean=clean)",
                   expected=f"one or more of {', '.join(PARTS)}",
                   got=show(unknown) if unknown else "nothing")
    for name, function in answers.items():
        PARTS[name](check, function, rng)
    check.passed(f"{', '.join(answers)}: {check.cases} cases")
