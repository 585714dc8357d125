// Who was found: a small picture of each person with the times in view, and the choice of one of them.

const element = (id) => document.getElementById(id);

export class People {
  #listeners;
  #urls = [];

  /**
   * Calls `listeners.chosen` with an entry of people.json, or null for everybody; and `listeners.follow` with the place
   * by which the whole video is searched for a person.
   */
  constructor(listeners) {
    this.#listeners = listeners;
    element("everybody").addEventListener("click", () => this.#choose(null));
  }

  /** Shows the people of a people.json. */
  open({ people }) {
    this.close();
    element("found").hidden = people.length === 0;
    element("found-list").replaceChildren(...people.map((entry) => this.#item(entry, people.length > 1)));
  }

  close() {
    this.#urls.forEach((url) => URL.revokeObjectURL(url));
    this.#urls = [];
    element("found").hidden = true;
    element("everybody").hidden = true;
  }

  #choose(entry) {
    element("everybody").hidden = !entry;
    for (const item of element("found-list").children) {
      const isChosen = entry !== null && item.dataset.person === key(entry);
      item.querySelector(".only")?.setAttribute("aria-pressed", isChosen);
    }
    this.#listeners.chosen(entry);
  }

  #item(entry, hasOthers) {
    const item = document.createElement("li");
    item.dataset.person = key(entry);
    const text = document.createElement("p");
    const name = document.createElement("strong");
    name.textContent = label(entry);
    text.append(name, document.createElement("br"), times(entry));
    item.append(this.#picture(entry), text);
    if (hasOthers) item.append(button("only", "Only this person", entry, () => this.#choose(entry)));
    // The data have a track's own frames only: the person may be there in others, too.
    if (entry.track_id !== null) {
      item.append(button("follow", "Follow throughout", entry, () => this.#listeners.follow(entry.person)));
    }
    return item;
  }

  #picture({ picture }) {
    const image = document.createElement(picture ? "img" : "span");
    image.className = "picture";
    if (!picture) return image;
    // The page may show blobs, but no data URIs.
    const bytes = Uint8Array.from(atob(picture.split(",")[1]), (letter) => letter.charCodeAt(0));
    image.src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    image.alt = "";
    this.#urls.push(image.src);
    return image;
  }
}

const key = ({ person_id: person, track_id: track }) => `${person}/${track}`;

/** What a person is called: where one number stands for several people in turn, by the track. */
export const label = ({ person_id: person, track_id: track }) => (track === null ? `Person ${person}` : `Track ${track}`);

function times({ first_s: first, last_s: last, in_view_s: inView }) {
  const [from, to, length] = [first, last, inView].map((seconds) => seconds.toFixed(1));
  return `In view from ${from} to ${to} s, ${length} s in all`;
}

function button(name, text, entry, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = `button quiet ${name}`;
  made.textContent = text;
  made.setAttribute("aria-label", `${text}: ${label(entry)}`);
  made.addEventListener("click", onClick);
  return made;
}
