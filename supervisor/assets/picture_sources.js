// The videos that a job can be played from: the user's own file, and those of the service.

/**
 * The order in which they are tried. Each has the time at which the part `begins` in it, the `area` of the picture
 * that it shows ([x, y, width, height] as fractions; null for all), and whether it `isClean`, without skeletons.
 */
export function pictureSources({ urls, crop, blur, start }, ownUrl) {
  const area = crop ? crop.split(",").map(Number) : null;
  const own = { url: ownUrl, begins: start ?? 0, area: null, isClean: true };
  // The service's videos begin with the part.
  const clean = { url: urls.clean, begins: 0, area, isClean: true };
  const drawn = { url: urls.video, begins: 0, area, isClean: false };
  // Where heads are covered, the picture is to show that they are.
  const order = blur === "none" ? [own, clean, drawn] : [clean, own, drawn];
  return order.filter(({ url }) => url);
}

/** A frame with its landmarks as fractions of an area of the picture. */
export function within(frame, [left, top, width, height]) {
  const place = (point) => ({ ...point, x: (point.x - left) / width, y: (point.y - top) / height });
  const people = frame.people.map((person) => ({ ...person, landmarks: person.landmarks.map(place) }));
  return { ...frame, people };
}
