"""A GraphQL service made with strawberry, served by uvicorn; the first line on stdout is its port."""

import socket

import strawberry
import uvicorn
from strawberry.asgi import GraphQL


@strawberry.type
class Country:
    """A country."""

    code: str
    area: float


@strawberry.type
class City:
    """A city."""

    id: int
    name: str
    people: int

    @strawberry.field
    def country(self) -> Country:
        """Return where it lies."""
        return Country(code="DE" if self.id % 2 else "CH", area=self.id / 7)

    @strawberry.field
    def shouted(self, times: int = 1) -> str:
        """Return its name, loud."""
        return self.name.upper() + "!" * times


def found(number: int) -> City | None:
    """Return a city, unless it has one of the numbers that nobody has."""
    return (
        None
        if number % 10 == 9
        else City(id=number, name=f"Stadt {number} \u00e4\u2028\U0001f600", people=number * 997)
    )


@strawberry.type
class Query:
    """What may be asked."""

    @strawberry.field
    def city(self, id: int) -> City | None:  # noqa: A002  the argument's name
        """Return a city."""
        return found(id)

    @strawberry.field
    def cities(self, start: int, most: int = 3) -> list[City]:
        """Return some cities."""
        return [city for number in range(start, start + most) if (city := found(number)) is not None]


if __name__ == "__main__":
    app = GraphQL(strawberry.Schema(Query))  # type: ignore[var-annotated]
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
