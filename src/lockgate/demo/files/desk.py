"""The demo's lower rungs: two small functions that need no model."""

ANSWERS = {
    "return": "You can send anything back free of charge within thirty days.",
    "arrive": "Orders leave within two days and arrive within a week.",
    "invoice": "Your invoice is in your account, under Orders.",
}

TEAMS = {
    "shipping": ("parcel", "deliver", "address", "arriv", "package", "courier"),
    "billing": ("invoice", "refund", "charge", "paid", "payment", "card"),
    "technical": ("website", "app", "error", "crash", "page", "load"),
    "account": ("password", "login", "log in", "e-mail", "profile", "username"),
}


def handbook(text: str) -> str | None:
    """Answer from the handbook; None if it has no answer to this."""
    return next((answer for word, answer in ANSWERS.items() if word in text.lower()), None)


def keywords(ticket: str) -> dict[str, str]:
    """Name the team whose keywords occur most often."""
    counts = {team: sum(ticket.lower().count(w) for w in words) for team, words in TEAMS.items()}
    best = max(counts, key=lambda team: counts[team])
    return {"team": best if counts[best] else "nobody"}
