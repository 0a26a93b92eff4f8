/** What was sent to a session, so that a stream that broke can go on. */
export class Events {
  #events = [];

  async storeEvent(stream, message) {
    this.#events.push({ stream, message });
    return String(this.#events.length);
  }

  async getStreamIdForEventId(id) {
    return this.#events[Number(id) - 1]?.stream;
  }

  async replayEventsAfter(last, { send }) {
    const stream = await this.getStreamIdForEventId(last);
    for (const [index, event] of this.#events.entries()) {
      // A stream opens with an event that holds no message: it is there for its id.
      const message = event.message && Object.keys(event.message).length > 0;
      if (index >= Number(last) && event.stream === stream && message) await send(String(index + 1), event.message);
    }
    return stream;
  }
}
