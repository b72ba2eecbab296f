"""The sentences that a job shows to its owner."""

STARTING = "Processing is about to start"
FETCHING = "fetching the file"
CONFIRM_MAPPING = "Your file is safe. Confirm how it is to be read, then it starts."
NOT_PUBLISHED = "The queue takes nothing for the moment. Nothing is lost: it starts by itself when the queue is back."
PAUSED = "Paused by our staff. Nothing is lost: it starts when they resume."
NO_SIGN_OF_LIFE = "No sign of life for {:.0f} s. If its worker died, another one continues the job within a minute."
WORKER_STOPPED = "Its worker was stopped; another one continues the job."
WORKER_DIED = "Its worker died; another one continues the job."
DATABASE_LOST = "Our database was away for a moment. Nothing is lost: it continues where it stopped."
LOCK_LOST = "The work was interrupted. Nothing is lost: it continues where it stopped."
WAITING_FOR_WRITERS = "Waiting for another import to end."
WAITING_FOR_LOCKS = "Waiting for the server that keeps imports apart."
WAITING_FOR_ROWS = "Waiting for others that write to these jobs."
GOES_ON = "It goes on in a moment."
CANCELLED_BEFORE_START = "Cancelled before it started."
CANCELLED = "Cancelled."
NOT_CONFIRMED = "Nobody confirmed how it is to be read, so it was cancelled."
INTERNAL_ERROR = "Something went wrong on our side. Your file is safe: try again."
TIME_LIMIT_EXCEEDED = "This took longer than we allow for one file. Try a smaller one."
STORAGE_REFUSED = (
    "Our storage of files refuses us: a setting of ours is wrong, and our staff can see it. "
    "Your file is safe. Try again later."
)
CRASHED_TOO_OFTEN = "This file stopped our worker several times, so we gave up on it. Your file is safe."
STALLED_TOO_OFTEN = (
    "Our machine stopped converting this video again and again, so we gave up for now. "
    "Nothing is lost, and your file is safe. Try again later."
)

# After these, trying again goes on where the job ended. Any other failure is about the file.
NOT_CAUSED_BY_FILE = (INTERNAL_ERROR, TIME_LIMIT_EXCEEDED, CRASHED_TOO_OFTEN, STORAGE_REFUSED, STALLED_TOO_OFTEN)
