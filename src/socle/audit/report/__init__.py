"""What an auditor reads of an audit: one content, the same numbers in every form."""

from socle.audit.report.content import Content, Past, Row, content
from socle.audit.report.writing import FORMS, write

__all__ = ["FORMS", "Content", "Past", "Row", "content", "write"]
