"""The app that a tutorial ends with: LangGraph, `AsyncPostgresSaver`, `ChatOpenAI` and a `StreamingResponse`.

It retrieves nothing, checks nothing and remembers the conversation in its checkpoints. What we measure ourselves by.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel


class Message(BaseModel):
    message: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    model = ChatOpenAI(model="stub", base_url=os.environ["OPENAI_BASE_URL"], api_key="sk-bench", temperature=0.3)

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph: Any = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=16, kwargs=options) as pool:
        saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
        await saver.setup()
        app.state.graph = graph.compile(checkpointer=saver)
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/chat/{thread}")
async def chat(thread: str, body: Message) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        config = {"configurable": {"thread_id": thread}}
        messages = {"messages": [("user", body.message)]}
        async for chunk, _ in app.state.graph.astream(messages, config, stream_mode="messages"):
            if chunk.content:
                yield f"event: message.delta\ndata: {chunk.model_dump_json()}\n\n"
        yield "event: done\ndata: {}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
