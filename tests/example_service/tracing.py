"""OpenTelemetry spans of the client, by routes and statuses: no URL, no id, no header, no body can get into them."""

import time
from collections.abc import Callable

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_current_span

from meitner_aio import Event, QuotaWait, ResponseReceived, RetryScheduled


def spans(tracer: Tracer) -> Callable[[Event], None]:
    """Return an `on_event` that makes a span of every answer, below the span of the code that called."""

    def on_event(event: Event) -> None:
        match event:
            case ResponseReceived():
                ended = time.time_ns()
                span = tracer.start_span(
                    f"{event.method} {event.route}",
                    kind=SpanKind.CLIENT,
                    start_time=ended - int(event.elapsed * 1e9),
                    attributes={
                        "http.request.method": event.method,
                        "url.template": event.route,
                        "http.response.status_code": event.status,
                        "http.request.resend_count": event.attempt - 1,
                    },
                )
                if event.status >= 400:
                    span.set_status(Status(StatusCode.ERROR))
                span.end(ended)
            case RetryScheduled():
                get_current_span().add_event("meitner.retry", {"reason": event.reason, "delay": event.delay})
            case QuotaWait():
                get_current_span().add_event("meitner.quota_wait", {"zone": event.zone, "delay": event.delay})

    return on_event
