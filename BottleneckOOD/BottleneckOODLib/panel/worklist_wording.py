"""The worklist's own sentences; those about a store or a file come from whoever uses it."""

from __future__ import annotations

from BottleneckOODLib.translation import _

NO_STORE = _("Choose a store first: a file that bottleneck-ood triage has made, or a URL.")
NOT_INSTALLED = _("The review store needs {packages}; press Open store again, and let it be installed.")
NO_READER = _("Type your name or initials first.")
LATE = _("The store or its files have not answered yet; wait, or close the store and check the network or the server.")
FAULT = _("Something went wrong in the program; nothing was changed. The log of the application says more.")
SHOW_AGAIN = _("The list has it under All, by its name: choose it there, and press Open case.")
NONE_WAITS = _("No other case waits for you; look at the list with another filter.")
AGAIN = _("That was the last case that waits; here is the first of those that you passed over.")
LOST = _("{case} is being read by another reader by now; what you decide on it is refused. Take another one.")
EDITED = _("The mask of {case} was edited and not saved. Save it as a new version beside the original?")
NOT_EDITED = _("The mask is as it was loaded; there is nothing to save.")
SAVED = _("Saved as {file}; the original stays as it is.")
EDITED_BEFORE = _("Shown is {file}, which you have edited before.")
