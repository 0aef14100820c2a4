"""An unmodified zeep as the client of a visa reference service: it is given the address of a WSDL and nothing else."""

from datetime import UTC, date, datetime
from typing import Any

import zeep


class VisaDesk:
    def __init__(self, wsdl: str) -> None:
        self._service = zeep.Client(wsdl).service

    def submit(self, *applications: tuple[str, str]) -> dict[str, Any]:
        """Applications by correlation id and passport number; the result of each by its id."""
        given = [_application(key, number) for key, number in applications]
        found = self._service.SubmitApplications(
            BatchNo=1, SentAt=datetime(2026, 2, 3, 9, 15, 30, tzinfo=UTC), Application=given
        )
        return {one.CorrelationId: one for one in found or []}

    def enquire(self, key: str) -> dict[str, Any]:
        found = self._service.EnquireApplication(CorrelationId=key)
        return {one.CorrelationId: one for one in found or []}


def _application(key: str, number: str) -> dict[str, Any]:
    return {
        "CorrelationId": key,
        "RequestNo": "1000000000016",
        "GroupNo": "G-1447-0001",
        "AgentCode": "agent_idn_1",
        "CompanyCode": "UO-001",
        "Mission": "JKT",
        "Season": 1447,
        "Passport": {
            "Type": "P",
            "Number": number,
            "IssuingState": "203",
            "IssueDate": date(2023, 5, 6),
            "ExpiryDate": date(2033, 5, 5),
        },
        "Applicant": {
            "GivenName": "Siti",
            "FamilyName": "Rahayu",
            "FamilyNameAr": "راهايو",
            "Sex": "F",
            "BirthDate": date(1984, 11, 3),
            "Nationality": "203",
            "Residence": "203",
        },
        "Travel": {"ArrivalDate": date(2026, 2, 20), "DepartureDate": date(2026, 3, 4), "Port": "JED", "Mode": "A"},
    }
